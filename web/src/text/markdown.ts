// Markdown of strangers as safe HTML, block by block. HTML in it stays text, pictures become links (a picture's address
// tells its host who reads), and DOMPurify looks at all that comes out.
import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text: string) => text.replace(/[&<>"']/g, (each) => ESCAPES[each] ?? each);
const SAFE_LINK = /^(https?:|mailto:)/i;

interface Formula extends Tokens.Generic {
  tex: string;
  display: boolean;
}

const formula = (raw: string, tex: string, display: boolean): Formula => ({ type: "formula", raw, tex: tex.trim(), display });
const shown = (token: Tokens.Generic) =>
  `<span class="formula" data-display="${String(token["display"])}">${escaped(String(token["tex"]))}</span>`;

/** $$ … $$ and \[ … \] stand for themselves; $ … $ and \( … \) in a line, as TeX has them, but not "$5 and $6". */
const BLOCK = /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n+|$)/;
const INLINE = /^(?:\$\$([^\n]+?)\$\$|\\\((.+?)\\\)|\\\[(.+?)\\\]|\$(?![\s$])((?:\\.|[^$\n\\])*?[^\s\\])\$(?![\w$]))/;

const marked = new Marked({
  gfm: true,
  extensions: [
    {
      name: "formula",
      level: "block",
      start: (text) => text.match(/(^|\n)(\$\$|\\\[)/)?.index,
      tokenizer: (text) => {
        const found = BLOCK.exec(text);
        return found ? formula(found[0], found[1] ?? found[2] ?? "", true) : undefined;
      },
      renderer: (token) => `<p>${shown(token)}</p>`,
    },
    {
      name: "inlineFormula",
      level: "inline",
      start: (text) => text.match(/\$|\\\(|\\\[/)?.index,
      tokenizer: (text) => {
        const found = INLINE.exec(text);
        if (!found) return undefined;
        return { ...formula(found[0], found[1] ?? found[2] ?? found[3] ?? found[4] ?? "", Boolean(found[1] ?? found[3])), type: "inlineFormula" };
      },
      renderer: shown,
    },
  ],
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => link(href, escaped(text || href)),
    link({ href, tokens }) {
      return link(href, this.parser.parseInline(tokens));
    },
    code: ({ text, lang }) => {
      const language = lang?.match(/^[\w+#.-]+/)?.[0].toLowerCase() ?? "";
      return `<pre tabindex="0"><code${language && ` class="language-${escaped(language)}"`}>${escaped(text)}</code></pre>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

function link(href: string, inside: string): string {
  if (!SAFE_LINK.test(href)) return inside;
  return `<a href="${escaped(href)}" target="_blank" rel="noopener noreferrer nofollow">${inside}</a>`;
}

const TAGS =
  "a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong sub sup table tbody td th thead tr ul".split(" ");
const ATTRIBUTES = ["href", "target", "rel", "class", "start", "align", "tabindex", "data-display"];

export interface Block {
  readonly raw: string;
  readonly html: string;
}

const made = new Map<string, string>();
const MOST_KEPT = 2000;

/** The text's blocks. One that was seen before costs nothing: while an answer grows only its last block is new. */
export function blocks(text: string): Block[] {
  const tokens = marked.lexer(text);
  return tokens
    .filter((token) => token.type !== "space" && token.type !== "def")
    .map((token) => ({ raw: token.raw, html: html(token, tokens.links) }));
}

function html(token: Token, links: Tokens.Generic["links"]): string {
  const alone = Object.keys((links ?? {}) as object).length === 0; // else the same words may lead elsewhere
  const known = alone ? made.get(token.raw) : undefined;
  if (known !== undefined) return known;
  const list = Object.assign([token], { links });
  const safe = DOMPurify.sanitize(marked.parser(list as unknown as Token[]), {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
  });
  if (made.size >= MOST_KEPT) made.clear();
  if (alone) made.set(token.raw, safe);
  return safe;
}
