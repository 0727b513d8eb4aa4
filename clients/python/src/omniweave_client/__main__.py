"""`python -m omniweave_client` is `omniweave-chat`."""

import sys

from omniweave_client.chat import main

if __name__ == "__main__":
    sys.exit(main())
