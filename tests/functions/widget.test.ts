/* What the widget makes of its script tag and of its owner's colour. Run by test_page.py with node. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { contrast, inkOn, legibleOn, rgbOf } from "../../functions/web/page/widget/colours.ts";
import { readOptions } from "../../functions/web/page/widget/options.ts";

const SOURCE = "https://api.example/stage/widget.js?v=1";
const PAGE = { language: "en", direction: "ltr" };
const GROUNDS = { light: ["#ffffff", "#f7f6f2"], dark: ["#1f2421", "#161917"] };
const COLOURS = ["#000", "#fff", "#ffd24a", "#7a3cff", "#1f6f5c", "#808080", "#ff0000", "#00ff00", "#777777"];

test("a tag that says nothing is a widget like any other", () => {
  assert.deepEqual(readOptions(SOURCE, {}, PAGE), {
    api: "https://api.example/stage/",
    bot: null,
    title: null,
    greeting: null,
    side: "right",
    colour: "#1f6f5c",
    theme: "auto",
    language: "en",
    direction: "ltr",
    isOpen: false,
  });
});

test("what cannot be read is as if it had not been said", () => {
  const said = { theme: "purple", position: "middle", colour: "var(--x)", dir: "up", bot: "", open: "false" };

  assert.deepEqual(readOptions(SOURCE, said, PAGE), readOptions(SOURCE, {}, PAGE));
});

test("a language says in which direction it is written, unless the tag does", () => {
  assert.equal(readOptions(SOURCE, { language: "ar-EG" }, PAGE).direction, "rtl");
  assert.equal(readOptions(SOURCE, { language: "arn" }, PAGE).direction, "ltr");
  assert.equal(readOptions(SOURCE, { language: "en" }, { language: "he", direction: "rtl" }).direction, "ltr");
  assert.equal(readOptions(SOURCE, { language: "ar", dir: "ltr" }, PAGE).direction, "ltr");
  assert.equal(readOptions(SOURCE, {}, { language: "he", direction: "rtl" }).direction, "rtl");
});

test("where it is written from the right it stands at the left, unless the tag says otherwise", () => {
  assert.equal(readOptions(SOURCE, { dir: "rtl" }, PAGE).side, "left");
  assert.equal(readOptions(SOURCE, { dir: "rtl", position: "right" }, PAGE).side, "right");
});

test("a colour is read as people write it, and as nothing else", () => {
  assert.deepEqual(rgbOf("#Fd2"), [255, 221, 34]);
  assert.deepEqual(rgbOf(" #ffd24a "), [255, 210, 74]);
  for (const text of ["ffd24a", "#ffd2", "red", "rgb(0,0,0)", "#ggg", ""]) assert.equal(rgbOf(text), null);
});

test("black and white are as far apart as colours can be", () => {
  assert.equal(Math.round(contrast([0, 0, 0], [255, 255, 255])), 21);
  assert.equal(contrast([9, 9, 9], [9, 9, 9]), 1);
});

for (const colour of COLOURS) {
  test(`text on ${colour} and text in it can be read`, () => {
    const rgb = rgbOf(colour);

    assert.ok(contrast(rgbOf(inkOn(rgb)), rgb) >= 4.5);
    for (const grounds of Object.values(GROUNDS)) {
      const text = rgbOf(legibleOn(grounds.map(rgbOf), rgb));
      for (const ground of grounds) assert.ok(contrast(text, rgbOf(ground)) >= 4.5);
      assert.ok(contrast(rgbOf(inkOn(text)), text) >= 4.5);
    }
  });
}
