/*
 * `npm run build`: page/ -> ../static/, which is all that the function serves. `node build.js FOLDER` builds elsewhere.
 *
 * Every file in assets/ is named after its own content, so that it may be kept for ever, and every file lies beside its
 * gzipped copy, so that the function compresses nothing while somebody waits. Of the widget, the panel is an asset, and
 * widget.js has its name in it.
 */
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const PAGE = path.dirname(fileURLToPath(import.meta.url));
const STATIC = path.resolve(process.argv[2] ?? path.join(PAGE, "..", "static"));
const PIXELS_OF_REM = 16;

const HOW = {
  bundle: true,
  minify: true,
  metafile: true,
  write: false,
  outdir: PAGE,
  format: "esm",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none", // the licences themselves are published instead, see below
};

rmSync(STATIC, { recursive: true, force: true });
mkdirSync(path.join(STATIC, "assets"), { recursive: true });

const page = await build({ ...HOW, entryPoints: at("main.tsx", "style.css", "widget/demo.css") });
const panel = await build({ ...HOW, entryPoints: at("widget/panel.tsx"), plugins: [{ name: "style", setup: styleAsText }] });
const inputs = Object.keys({ ...page.metafile.inputs, ...panel.metafile.inputs });

const addresses = {};
for (const { path: name, contents } of [...page.outputFiles, ...panel.outputFiles]) {
  publishAsset(path.basename(name), Buffer.from(contents));
}
publishAsset("mark.svg", readFileSync(path.join(PAGE, "mark.svg")));
publishAsset("licences.txt", Buffer.from(licences(inputs)));

const loader = await build({
  ...HOW,
  entryPoints: at("widget/loader.ts"),
  format: "iife",
  define: { PANEL_ADDRESS: JSON.stringify(addresses["panel.js"]) },
  plugins: [{ name: "style", setup: styleAsText }],
});
publish("widget.js", Buffer.from(loader.outputFiles[0].contents));
for (const [name, file] of [["index.html", "index.html"], ["widget.html", "widget/demo.html"]]) {
  const html = readFileSync(path.join(PAGE, file), "utf8");
  publish(name, Buffer.from(html.replaceAll(/{{(.+?)}}/g, (_, asset) => addresses[asset])));
}

function at(...names) {
  return names.map((name) => path.join(PAGE, name));
}

/** A sheet that a script imports is a text in it, with what it imports itself, and in pixels: rem is the host page's. */
function styleAsText({ onLoad }) {
  onLoad({ filter: /\.css$/ }, async ({ path: sheet }) => {
    const { outputFiles, metafile } = await build({ ...HOW, entryPoints: [sheet] });
    const contents = outputFiles[0].text.replaceAll(/(?<![\w-])([\d.]+)rem\b/g, (_, size) => `${size * PIXELS_OF_REM}px`);
    return { contents, loader: "text", watchFiles: Object.keys(metafile.inputs) };
  });
}

/** Publishes a file under a name that holds a hash of what is in it. */
function publishAsset(name, content) {
  const { name: stem, ext } = path.parse(name);
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 12);
  addresses[name] = `assets/${stem}-${digest}${ext}`;
  publish(addresses[name], content);
}

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

/** The licence of every package that went into the bundles. A package without one fails the build. */
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
