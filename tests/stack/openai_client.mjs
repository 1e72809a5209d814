// OpenAI's own client for Node talks to a deployment, and tells what it got as JSON: run by tests/stack/node.py.
//
//     node openai_client.mjs BASE_URL API_KEY

import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });

const say = (content, more = {}, options = {}) =>
  client.chat.completions.create({ model: "support", messages: [{ role: "user", content }], ...more }, options);

async function refusal(request) {
  try {
    await request;
  } catch (error) {
    const kinds = { AuthenticationError, BadRequestError, NotFoundError };
    const kind = Object.keys(kinds).find((name) => error instanceof kinds[name]) ?? error.constructor.name;
    return { kind, status: error.status, code: error.code, param: error.param };
  }
  return null;
}

async function streamed(content, options) {
  const stream = await say(content, { stream: true, stream_options: { include_usage: true } }, options);
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return {
    chunks: chunks.length,
    text: chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? "")).join(""),
    reasons: chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.finish_reason)),
    usage: chunks.at(-1).usage,
  };
}

const name = { metadata: { conversation_id: "from-node" }, user: "node" };
const once = { headers: { "Idempotency-Key": "from-node" } }; // its own option sends nothing
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const stranger = new OpenAI({ baseURL, apiKey: "parley_wrong", maxRetries: 0 });

console.log(
  JSON.stringify({
    models,
    model: await client.models.retrieve("support"),
    completion: await say("how long do I have to return something?"),
    stream: await streamed("hello", once),
    whole: (await say("hello", {}, once)).choices[0].message.content,
    generated: await streamed("do you like poetry on rainy days?"),
    asked: (await say("where is my order?", name)).choices[0].message.content,
    told: (await say("WB-204518", name)).choices[0].message.content,
    stranger: await refusal(stranger.models.list()),
    unknown: await refusal(client.chat.completions.create({ model: "gpt-4", messages: [{ role: "user", content: "hi" }] })),
    empty: await refusal(client.chat.completions.create({ model: "support", messages: [] })),
  }),
);
