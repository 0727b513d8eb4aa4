/** Files in one ZIP archive, stored as they are. Pure. PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4. */

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_RECORD = 0x06054b50;
const VERSION = 20; // 2.0, the least that readers know
const UTF8_NAMES = 0x0800;
const DATE_1980 = 0x0021; // archives of the same files are the same bytes

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * @param {{name: string, bytes: Uint8Array<ArrayBuffer>}[]} files
 * @returns {Blob}
 */
export function zipOf(files) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const body = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const nameBytes = new TextEncoder().encode(name);
    const facts = [VERSION, UTF8_NAMES, 0, 0, DATE_1980]; // method 0: stored
    const sizes = [crc32(bytes), bytes.length, bytes.length];
    const local = record([LOCAL_HEADER], facts, sizes, [nameBytes.length, 0]);
    directory.push(
      record([CENTRAL_HEADER], [VERSION, ...facts], sizes, [nameBytes.length, 0, 0, 0, 0], [0, offset]),
      nameBytes,
    );
    body.push(local, nameBytes, bytes);
    offset += local.length + nameBytes.length + bytes.length;
  }
  const directoryLength = directory.reduce((total, part) => total + part.length, 0);
  const end = record([END_RECORD], [0, 0, files.length, files.length], [directoryLength, offset], [0]);
  return new Blob([...body, ...directory, end], { type: 'application/zip' });
}

/**
 * Numbers as little-endian fields: the groups alternate between 32 and 16 bits, 32 first.
 *
 * @param {number[][]} groups
 */
function record(...groups) {
  const widths = groups.flatMap((group, i) => group.map(() => (i % 2 === 0 ? 4 : 2)));
  const view = new DataView(new ArrayBuffer(widths.reduce((total, width) => total + width, 0)));
  let at = 0;
  groups.flat().forEach((value, i) => {
    if (widths[i] === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += widths[i];
  });
  return new Uint8Array(view.buffer);
}
