/**
 * What models write with Markdown's marks: text in, elements out. Paragraphs, lists, code, bold and italics; the rest,
 * and every tag, stays the text it is. A small subset of CommonMark 0.31, where line breaks are kept. Pure, but for
 * `elementOf`, which makes elements and never parses HTML.
 */

/** @typedef {'p' | 'pre' | 'code' | 'ul' | 'ol' | 'li' | 'strong' | 'em'} Tag */
/** @typedef {{tag: Tag, children: (string | Marked)[]}} Marked */

const FENCE = /^\s*```/;
const ITEM = /^\s*(?:[-*+]|\d{1,9}[.)])\s+(.*)$/;
const NUMBERED = /^\s*\d/;
const HEADING = /^#{1,6}\s+(.+?)\s*#*$/;
// At most 1,000 characters in a mark, so that an opening without an end costs little.
const MARKS = new RegExp(
  [
    '`(?<code>[^`\\n]{1,1000})`',
    '\\*\\*(?=\\S)(?<bold>[^]{1,1000}?)(?<=\\S)\\*\\*(?!\\*)',
    '(?<!\\w)__(?=\\S)(?<bold2>[^]{1,1000}?)(?<=\\S)__(?!\\w)',
    '(?<![\\w*])\\*(?=[^\\s*])(?<italic>[^*]{1,1000}?)(?<=\\S)\\*(?!\\w)',
    '(?<!\\w)_(?=[^\\s_])(?<italic2>[^_]{1,1000}?)(?<=\\S)_(?!\\w)',
  ].join('|'),
  'g',
);

/**
 * The blocks of a text that may still be growing: code without an end goes on to the end.
 *
 * @param {string} text
 * @returns {Marked[]}
 */
export function blocksOf(text) {
  /** @type {Marked[]} */
  const blocks = [];
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; ) {
    const line = lines[i];
    if (line.trim() === '') {
      i += 1;
    } else if (FENCE.test(line)) {
      const end = lines.findIndex((other, at) => at > i && FENCE.test(other));
      const code = lines.slice(i + 1, end < 0 ? undefined : end).join('\n');
      blocks.push(marked('pre', [marked('code', [code])]));
      i = end < 0 ? lines.length : end + 1;
    } else if (ITEM.test(line)) {
      const end = endOf(lines, i, (other) => ITEM.test(other) || /^\s{2,}\S/.test(other));
      blocks.push(marked(NUMBERED.test(line) ? 'ol' : 'ul', itemsOf(lines.slice(i, end))));
      i = end;
    } else if (HEADING.test(line)) {
      blocks.push(marked('p', [marked('strong', spansOf(line.replace(HEADING, '$1')))]));
      i += 1;
    } else {
      const end = endOf(lines, i, (other) => other.trim() !== '' && ![FENCE, ITEM, HEADING].some((mark) => mark.test(other)));
      blocks.push(marked('p', spansOf(lines.slice(i, end).join('\n'))));
      i = end;
    }
  }
  return blocks;
}

/**
 * The same in words alone, a line for each block and item, to be read out.
 *
 * @param {string} text
 */
export function wordsOf(text) {
  const parts = blocksOf(text).flatMap((block) => (/^[uo]l$/.test(block.tag) ? block.children : [block]));
  return parts.map(textOf).join('\n');
}

/** @param {Marked} node */
export function elementOf(node) {
  const element = document.createElement(node.tag);
  element.append(...node.children.map((child) => (typeof child === 'string' ? child : elementOf(child))));
  return element;
}

/** @param {string | Marked} node @returns {string} */
function textOf(node) {
  return typeof node === 'string' ? node : node.children.map(textOf).join('');
}

/** @param {string[]} lines @param {number} start @param {(line: string) => boolean} belongs */
function endOf(lines, start, belongs) {
  const length = lines.slice(start + 1).findIndex((line) => !belongs(line));
  return length < 0 ? lines.length : start + 1 + length;
}

/** Lists have one level: deeper items are items, other lines go on with the item before. @param {string[]} lines */
function itemsOf(lines) {
  /** @type {string[]} */
  const items = [];
  for (const line of lines) {
    const found = line.match(ITEM);
    if (found) items.push(found[1]);
    else items[items.length - 1] += `\n${line.trim()}`;
  }
  return items.map((item) => marked('li', spansOf(item)));
}

/** @param {string} text @returns {(string | Marked)[]} */
function spansOf(text) {
  /** @type {(string | Marked)[]} */
  const spans = [];
  let end = 0;
  for (const found of text.matchAll(MARKS)) {
    const { code, bold, bold2, italic, italic2 } = found.groups ?? {};
    if (found.index > end) spans.push(text.slice(end, found.index));
    if (code) spans.push(marked('code', [code]));
    else if (bold ?? bold2) spans.push(marked('strong', spansOf(bold ?? bold2)));
    else spans.push(marked('em', spansOf(italic ?? italic2)));
    end = found.index + found[0].length;
  }
  if (end < text.length) spans.push(text.slice(end));
  return spans;
}

/** @type {(tag: Tag, children: (string | Marked)[]) => Marked} */
const marked = (tag, children) => ({ tag, children });
