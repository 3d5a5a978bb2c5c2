// TeX as MathML, which browsers draw themselves and screen readers read: no fonts, no inline styles. Loaded when the first
// formula comes.
import DOMPurify from "dompurify";
import katex from "katex";

/** Null for what is no TeX: it stays as it was written. */
export function mathml(tex: string, display: boolean): string | null {
  try {
    const drawn = katex.renderToString(tex, {
      output: "mathml",
      displayMode: display,
      throwOnError: true,
      strict: "ignore",
      trust: false,
      maxExpand: 200,
      maxSize: 20,
    });
    return DOMPurify.sanitize(drawn.replace(/ style="[^"]*"/g, ""), { USE_PROFILES: { mathMl: true }, ADD_TAGS: ["span", "semantics", "annotation"] });
  } catch (error) {
    if (error instanceof katex.ParseError) return null;
    throw error;
  }
}
