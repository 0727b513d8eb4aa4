/** What models write, and what becomes of it on the page. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { blocksOf, elementOf, wordsOf } from '../page/markdown.js';

/** As HTML without escapes, which is short to write down. */
function drawn(node) {
  return typeof node === 'string' ? node : `<${node.tag}>${node.children.map(drawn).join('')}</${node.tag}>`;
}

const CASES = {
  'plain words are one paragraph': ['Good morning.', '<p>Good morning.</p>'],
  'empty lines part paragraphs, other breaks are kept': ['one\ntwo\n\n\nthree', '<p>one\ntwo</p><p>three</p>'],
  'bold and italics, either way of writing': [
    '**a** and *b* and __c__ and _d_',
    '<p><strong>a</strong> and <em>b</em> and <strong>c</strong> and <em>d</em></p>',
  ],
  'one in the other': ['**a *b* c** ***d***', '<p><strong>a <em>b</em> c</strong> <strong><em>d</em></strong></p>'],
  'code is left as it is': ['`**a** <b>`', '<p><code>**a** <b></code></p>'],
  'a multiplication is no italics': ['2 * 3 * 4 and 2*3*4', '<p>2 * 3 * 4 and 2*3*4</p>'],
  'names with underscores are no italics': ['snake_case_name', '<p>snake_case_name</p>'],
  'a mark that is not closed yet is shown': ['**bol', '<p>**bol</p>'],
  'a list of points': ['Buy:\n- milk\n* **bread**\n', '<p>Buy:</p><ul><li>milk</li><li><strong>bread</strong></li></ul>'],
  'a list of numbers': ['1. one\n2) two', '<ol><li>one</li><li>two</li></ol>'],
  'an item of two lines': ['- one\n  and more\nthen', '<ul><li>one\nand more</li></ul><p>then</p>'],
  'a deeper item is an item': ['- one\n  - two', '<ul><li>one</li><li>two</li></ul>'],
  'a block of code': ['```js\nlet *a* = 1;\n\n- b\n```\nDone', '<pre><code>let *a* = 1;\n\n- b</code></pre><p>Done</p>'],
  'a block of code that is still being written': ['```\nlet a', '<pre><code>let a</code></pre>'],
  'a heading is a bold line': ['## The *river*\nflows', '<p><strong>The <em>river</em></strong></p><p>flows</p>'],
  'tags are text': ['<img src=x onerror=alert(1)>', '<p><img src=x onerror=alert(1)></p>'],
  'nothing is nothing': [' \n ', ''],
};

for (const [name, [text, expected]] of Object.entries(CASES)) {
  test(name, () => assert.equal(blocksOf(text).map(drawn).join(''), expected));
}

test('what is read out has the words and not the marks', () => {
  assert.equal(wordsOf('**Buy**\n- milk\n- `bread`'), 'Buy\nmilk\nbread');
});

test('texts that open much and close nothing are read to their end', () => {
  for (const piece of ['**a ', '_a ', '*a', '__a **b *c `d ']) {
    const text = piece.repeat(5_000);
    assert.equal(wordsOf(text).replace(/\W|_/g, ''), text.replace(/\W|_/g, ''));
  }
});

test('every word is kept, wherever the text is cut off', () => {
  const text = '# Head\n**a** _b_ `c`\n- d\n- *e* **f\n\n```\ng\n```\nh';
  for (let length = 0; length <= text.length; length++) {
    const words = blocksOf(text.slice(0, length)).map(drawn).join(' ').replace(/<[^>]*>/g, ' ').match(/[a-z]+/gi) ?? [];
    const expected = text.slice(0, length).match(/[a-z]+/gi) ?? [];
    assert.deepEqual(words, expected);
  }
});

afterEach(() => delete globalThis.document);

test('elements are made of tags and text, never of HTML', () => {
  const made = [];
  globalThis.document = {
    createElement: (tag) => {
      const element = { tag, children: [], append: (...children) => element.children.push(...children) };
      made.push(element);
      return element;
    },
  };
  const [list] = blocksOf('- <script>alert(1)</script>').map(elementOf);
  assert.equal(drawn(list), '<ul><li><script>alert(1)</script></li></ul>');
  assert.deepEqual(made.map((element) => element.tag), ['ul', 'li']);
  assert.deepEqual(made[1].children, ['<script>alert(1)</script>']);
});
