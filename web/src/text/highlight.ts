// Code in colours. Loaded when the first block of code is whole.
import hljs from "highlight.js/lib/common";

/** Safe HTML; null for a language that nobody knows. */
export function highlighted(code: string, language: string): string | null {
  return hljs.getLanguage(language) ? hljs.highlight(code, { language, ignoreIllegals: true }).value : null;
}
