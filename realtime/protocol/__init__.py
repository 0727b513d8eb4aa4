"""The wire: events and objects of the Realtime protocol, decoded leniently, encoded strictly."""
