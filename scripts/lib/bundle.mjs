/* @ts-self-types="./bundle.d.mts" */
import { readFileSync } from "node:fs";
import { build } from "vite";
import { inRepository, root } from "./paths.mjs";

/**
 * Writes the package's JavaScript into a folder: a file for each entry point and program, at its place in the sources,
 * and in `chunks/` the parts that several of them share. A file for each source would cost a program that imports the
 * core three times as much, as a runtime finds, reads and links each by itself. Comments and names stay, for debuggers;
 * packages stay imports.
 */
export async function bundle(out) {
  const { exports: entries, bin } = JSON.parse(readFileSync(inRepository("package.json"), "utf8"));
  const files = [...Object.values(entries).map((entry) => entry.default), ...Object.values(bin)];
  const names = files.map((file) => file.replace("./dist/", "").replace(/\.js$/, ""));
  await build({
    configFile: false,
    root,
    logLevel: "error",
    build: {
      ssr: true,
      outDir: out,
      emptyOutDir: false,
      minify: false,
      target: "es2023",
      rolldownOptions: {
        input: Object.fromEntries(names.map((name) => [name, inRepository(`${name}.ts`)])),
        external: /^[@a-z]/,
        output: { entryFileNames: "[name].js", chunkFileNames: "chunks/[name].js" },
      },
    },
  });
}
