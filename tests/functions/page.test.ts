/* What the page makes of the frames of a reply. Run by test_page.py with node, which reads TypeScript by itself. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { isNews, lastTurnOf, lateIdOf, merged, resaid, said, spoken } from "../../functions/web/page/conversation/entries.ts";
import { awaited, followed, NOT_ACCEPTED, readFrame } from "../../functions/web/page/conversation/frames.ts";

const accepted = { type: "accepted", turn_id: "t", number: 0, conversation_id: "c" };
const source = { title: "Oven", document: "oven.md", section: "Heat", text: "450 degrees." };
const PHOTO = { id: "f", name: "photo.png", type: "image/png", bytes: 67 };

function delta(number, at, text) {
  return { type: "delta", turn_id: "t", number, at, text };
}

function cited(number) {
  return { type: "citation", turn_id: "t", number, citation: source };
}

function after(...frames) {
  return frames.reduce(followed, awaited("t"));
}

test("a reply grows by its deltas", () => {
  const coming = after(accepted, delta(1, 0, "Good "), delta(2, 5, "morning"));

  assert.equal(coming.text, "Good morning");
  assert.equal(coming.number, 2);
});

test("nothing is accepted before the door says so", () => {
  assert.equal(awaited("t").number, NOT_ACCEPTED);
  assert.equal(after(accepted).number, 0);
});

test("what was told before is not told twice, and is the very same value", () => {
  const coming = after(accepted, delta(1, 0, "Good "), delta(2, 5, "morning"));

  assert.equal(followed(coming, delta(2, 5, "morning")), coming);
  assert.equal(followed(coming, accepted), coming);
});

test("a frame of another turn is nobody's business here", () => {
  const coming = after(accepted, delta(1, 0, "Good "));

  assert.equal(followed(coming, { ...delta(2, 5, "evening"), turn_id: "other" }), coming);
  assert.equal(followed(coming, { type: "pong" }), coming);
  assert.equal(followed(coming, { type: "turn", turn_id: "t.late", number: 9, message: "", replies: [], source: "generated" }), coming);
});

test("a smaller place takes back what stood there", () => {
  assert.equal(after(delta(1, 0, "Good morning"), delta(2, 5, "evening")).text, "Good evening");
});

test("a turn that is tried again begins anew, and cites anew", () => {
  const coming = after(delta(1, 0, "It is hot."), cited(2), delta(10_001, 0, "Hot"), cited(10_002));

  assert.equal(coming.text, "Hot");
  assert.equal(coming.citations.length, 1);
});

test("places count characters and not JavaScript's units", () => {
  const coming = after(delta(1, 0, "🌱🌱 grows"), delta(2, 8, "!"), delta(3, 1, "🌳"));

  assert.equal(after(delta(1, 0, "🌱🌱 grows"), delta(2, 8, "!")).text, "🌱🌱 grows!");
  assert.equal(coming.text, "🌱🌳");
});

test("what the reply stands on is kept in order", () => {
  assert.deepEqual(after(delta(1, 0, "Hot."), cited(2)).citations, [source]);
});

test("what is no frame of the bot is none", () => {
  const others = ["", "hello", "null", "7", "[]", '{"type":"surprise"}', '{"message":"Too Many Requests","connectionId":"x"}'];

  for (const data of others) assert.equal(readFrame(data), null, data);
  assert.deepEqual(readFrame('{"type":"pong"}'), { type: "pong" });
});

const away = { turn_id: "a", message: "hi", replies: [{ text: "Not now." }], source: "fallback", may_wait: true };
const late = { turn_id: lateIdOf("a"), number: 3, message: "", channel: "websocket", replies: [{ text: "Now." }], source: "generated" };

test("a reply that may be waited for says so, and its late answer is a reply of the bot's own", () => {
  const entries = merged([], [{ ...away, number: 1 }, late]);

  assert.deepEqual(entries.map(({ kind }) => kind), ["person", "bot", "bot"]);
  assert.equal(entries[1].mayWait, true);
  assert.equal(entries[2].mayWait, undefined);
});

test("a late answer that is told again stands there once", () => {
  assert.equal(merged(merged([], [away, late]), [late]).length, 3);
});

test("the last turn is one that the server knows", () => {
  const said = { kind: "person", id: "b-said", payload: "and?", text: "and?", uploads: [], isDelivered: false };

  assert.equal(lastTurnOf([...merged([], [away]), said]), "a");
  assert.equal(lastTurnOf([said]), null);
});

test("files that came without words stand in the thread", () => {
  const turn = { turn_id: "a", number: 1, message: "", uploads: [PHOTO], replies: [], source: "scripted" };

  const [entry] = merged([], [turn]);

  assert.deepEqual(entry.uploads, [PHOTO]);
  assert.equal(entry.text, "");
  assert.equal(isNews([], turn), true);
});

test("a file of this device stays that file when the history tells of it", () => {
  const mine = { ...PHOTO };
  const utterance = { turnId: "a", payload: "", shown: "", uploads: [mine] };
  const turn = { turn_id: "a", number: 1, message: "", uploads: [PHOTO], replies: [], source: "scripted" };

  const [entry] = merged([said(utterance)], [turn]);

  assert.equal(entry.uploads[0], mine);
  assert.equal(entry.turn, 1);
});

test("files that were sent once more take the place of those that are gone", () => {
  const utterance = { turnId: "a", payload: "look", shown: "look", uploads: [PHOTO] };
  const renewed = { ...utterance, uploads: [{ ...PHOTO, id: "g" }] };

  const [entry] = resaid([said(utterance)], renewed);

  assert.equal(entry.uploads[0].id, "g");
});

test("a reply is read out without its marks and with its buttons", () => {
  const buttons = [{ title: "Yes", payload: "/yes" }, { title: "No", payload: "/no" }];
  const replies = [{ text: "**Ours** is [here](https://shop.example/).", buttons }];

  const words = spoken({ kind: "bot", id: "a", replies, source: "scripted" });

  assert.equal(words.replace(/ +/g, " ").trim(), "Ours is here.\nSuggested answers: Yes, No.");
});
