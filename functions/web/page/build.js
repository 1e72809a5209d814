/*
 * `npm run build`: page/ -> ../static/, which is all that the function serves. `node build.js FOLDER` builds elsewhere.
 *
 * Every file but index.html is named after its own content, so that it may be kept for ever, and every file lies
 * beside its gzipped copy, so that the function compresses nothing while somebody waits.
 */
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const PAGE = path.dirname(fileURLToPath(import.meta.url));
const STATIC = path.resolve(process.argv[2] ?? path.join(PAGE, "..", "static"));

rmSync(STATIC, { recursive: true, force: true });
mkdirSync(path.join(STATIC, "assets"), { recursive: true });

const bundled = await build({
  entryPoints: [path.join(PAGE, "main.tsx"), path.join(PAGE, "style.css")],
  bundle: true,
  minify: true,
  metafile: true,
  write: false,
  outdir: PAGE,
  format: "esm",
  target: ["es2022", "chrome109", "firefox115", "safari16"],
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none", // the licences themselves are published instead, see below
});

const assets = new Map(bundled.outputFiles.map((file) => [path.basename(file.path), Buffer.from(file.contents)]));
assets.set("mark.svg", readFileSync(path.join(PAGE, "mark.svg")));
assets.set("licences.txt", Buffer.from(licences(Object.keys(bundled.metafile.inputs))));

let index = readFileSync(path.join(PAGE, "index.html"), "utf8");
for (const [name, content] of assets) {
  const { name: stem, ext } = path.parse(name);
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const address = `assets/${stem}-${digest}${ext}`;
  index = index.replaceAll(`{{${name}}}`, address);
  publish(address, content);
}
publish("index.html", Buffer.from(index));

/** Writes one file and its gzipped copy, and says how large they are. */
function publish(address, content) {
  const packed = gzipSync(content, { level: 9 });
  writeFileSync(path.join(STATIC, address), content);
  writeFileSync(path.join(STATIC, `${address}.gz`), packed);
  console.log(`${address.padEnd(32)} ${kilobytes(content)} kB, ${kilobytes(packed)} kB gzipped`);
}

function kilobytes(content) {
  return (content.length / 1000).toFixed(1).padStart(7);
}

/** The licence of every package that went into the bundle. A package without one fails the build. */
function licences(inputs) {
  const folders = new Set(inputs.map((input) => input.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean));
  return [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file && !license) throw new Error(`${name} ${version} says nothing of its licence`);
    const text = file ? readFileSync(path.join(folder, file), "utf8").trim() : `Licence: ${license}`;
    return `${name} ${version}\n\n${text}\n`;
  }).join("\n----\n\n");
}
