// Builds the page into src/argosy/web/dist: hashed names in assets/, each file also packed by gzip and brotli, so that
// the gateway compresses nothing. `npm run dev` serves it from the sources and asks a gateway on port 8000.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const DIST = fileURLToPath(new URL("../src/argosy/web/dist/", import.meta.url));
const GATEWAY = process.env["ARGOSY_URL"] ?? "http://127.0.0.1:8000";
const SMALLEST_BYTES = 512; // below that, packing saves nothing

const packed: Plugin = {
  name: "packed",
  apply: "build",
  async closeBundle() {
    for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = `${entry.parentPath}/${entry.name}`;
      const body = await readFile(path);
      if (body.length < SMALLEST_BYTES) continue;
      await writeFile(`${path}.gz`, gzipSync(body, { level: 9 }));
      await writeFile(`${path}.br`, brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
    }
  },
};

export default defineConfig({
  plugins: [packed],
  test: { include: ["tests/**/*.test.ts"] },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: DIST,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // what is inline is refused by the page's Content-Security-Policy
    modulePreload: { polyfill: false },
  },
  server: { proxy: Object.fromEntries(["/v1", "/argosy", "/ready", "/metrics"].map((path) => [path, GATEWAY])) },
});
