/*
 * The page: header, thread, composer.
 *
 * assistant-ui keeps the thread at its end while it grows and runs the composer; what is said and what it looks like
 * is ours. Every text reaches the document as text. It brings no style, no font and no markup made from strings, so the
 * page runs under a policy that allows neither inline code nor inline style. Its packages move together: package.json
 * overrides three of them to the release they were published with, since npm would mix releases that do not work.
 */
import {
  type AppendMessage,
  AssistantRuntimeProvider,
  ComposerPrimitive,
  type ThreadMessageLike,
  ThreadPrimitive,
  useAuiState,
  useExternalStoreRuntime,
} from "@assistant-ui/react";
import { type KeyboardEvent, type RefObject, useEffect, useRef, useState } from "react";

import { bot as fetchBot, type Bot } from "./conversation/api";
import { Attach, paste, useDrop } from "./conversation/attach";
import { type Conversation, useConversation } from "./conversation/conversation";
import { buttonsOf, type Entry } from "./conversation/entries";
import { Home } from "./conversation/home";
import { isOfInputMethod } from "./conversation/keys";
import { AtHome } from "./conversation/markdown";
import { Message, useAnnouncement, useNews } from "./conversation/message";
import { type Picking, usePicked } from "./conversation/picked";
import { BotName, Choices } from "./conversation/reply";
import { PickedFiles } from "./conversation/sent";
import { Why } from "./why";

const LONGEST_MESSAGE = 4000; // characters; the API refuses more
const COUNTED_FROM = 3500; // where the composer begins to say how many are left
const UNKNOWN_BOT: Bot = { name: "", title: "Parley", description: "", suggestions: [], explains: false, socket: null };
const HAS_KEYBOARD = matchMedia("(pointer: fine)").matches; // elsewhere a focused field would cover half the screen

/** The tab remembers: it outlives a reload. `?bot=clinic` asks for another bot than the default one. */
const HOME = new Home(
  new URL(".", document.baseURI).href,
  new URLSearchParams(location.search).get("bot"),
  () => sessionStorage,
  `parley ${new URL(document.baseURI).pathname}`,
);

/** Of which reply the reasons are shown, and how to ask for them. */
interface Reasons {
  shown: string | null;
  show: (id: string | null) => void;
}

export function Chat() {
  const bot = useBot();
  const [wantsReasons, setWantsReasons] = useState(() => HOME.kept<boolean>("explain") ?? false);
  const [shown, show] = useState<string | null>(null);
  const isExplaining = bot.explains && wantsReasons;
  const conversation = useConversation(HOME, isExplaining, bot.socket);
  const picking = usePicked(conversation, bot.uploads ?? null);
  const drop = useDrop(picking);
  const runtime = useExternalStoreRuntime({
    messages: conversation.entries,
    isRunning: conversation.isWaiting,
    isSendDisabled: conversation.isRestoring || picking?.isSending || picking?.hasFailed,
    convertMessage,
    onNew: async (message) => await conversation.say(textOf(message), undefined, picking?.take()),
  });

  function switchReasons() {
    HOME.keep("explain", !wantsReasons);
    setWantsReasons(!wantsReasons);
  }

  function startOver() {
    picking?.clear();
    conversation.startOver();
  }

  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <div className={drop.isOver ? "frame target" : "frame"} {...drop.handlers}>
        <header className="top">
          <Mark />
          <h1>{bot.title}</h1>
          {bot.explains && (
            <button type="button" role="switch" className="switch" aria-checked={isExplaining} onClick={switchReasons}>
              Explain
            </button>
          )}
          <button
            type="button"
            aria-label="New conversation"
            onClick={startOver}
            disabled={conversation.entries.length === 0 && !picking?.hasFiles}
          >
            New<span className="wide"> conversation</span>
          </button>
        </header>
        <main>
          <AtHome.Provider value={HOME}>
            <BotName.Provider value={bot.name}>
              <Thread
                bot={bot}
                conversation={conversation}
                picking={picking}
                reasons={isExplaining ? { shown, show } : null}
              />
            </BotName.Provider>
          </AtHome.Provider>
        </main>
      </div>
      {isExplaining && <ShownReasons entries={conversation.entries} shown={shown} show={show} />}
    </AssistantRuntimeProvider>
  );
}

function ShownReasons({ entries, shown, show }: { entries: readonly Entry[] } & Reasons) {
  const index = entries.findIndex((entry) => entry.id === shown);
  const entry = entries[index];
  if (entry?.kind !== "bot" || !entry.explanation) return null;
  const before = entries[index - 1];
  return (
    <Why
      key={entry.id}
      explanation={entry.explanation}
      words={before?.kind === "person" ? before.text : ""}
      done={() => show(null)}
    />
  );
}

interface InThread {
  bot: Bot;
  conversation: Conversation;
  picking: Picking | null; // null: the bot takes no files
  reasons: Reasons | null; // null: nobody asks for them
}

function Thread({ bot, conversation, picking, reasons }: InThread) {
  const { entries, isWaiting, isRestoring, isHandedOff, showEarlier } = conversation;
  const input = useRef<HTMLTextAreaElement>(null);
  const last = entries.at(-1);
  const buttons = last?.kind === "bot" && !isHandedOff ? buttonsOf(last.replies) : [];
  const announced = useAnnouncement(useNews(entries, isRestoring), last?.kind === "coming", bot.title);

  return (
    <ThreadPrimitive.Root className="thread">
      <ThreadPrimitive.Viewport className="scroll" tabIndex={0} role="region" aria-label="Conversation">
        <div className="column" role="log" aria-live="off" aria-label="Messages" aria-busy={isRestoring}>
          {showEarlier && (
            <button type="button" className="earlier" onClick={() => void showEarlier()}>
              Show earlier messages
            </button>
          )}
          {entries.length === 0 && !isRestoring && <Welcome bot={bot} />}
          <ThreadPrimitive.Messages>
            {({ message }) => {
              const entry = message.metadata.custom.entry as Entry | undefined;
              if (!entry) return null;
              return (
                <Message
                  entry={entry}
                  title={bot.title}
                  conversation={conversation}
                  goes={() => HAS_KEYBOARD && input.current?.focus()}
                >
                  {reasons && entry.kind === "bot" && entry.explanation && <AskWhy id={entry.id} {...reasons} />}
                </Message>
              );
            }}
          </ThreadPrimitive.Messages>
          {buttons.length > 0 && (
            <Choices
              buttons={buttons}
              disabled={isWaiting}
              choose={({ payload, title }) => void conversation.say(payload, title)}
            />
          )}
        </div>
      </ThreadPrimitive.Viewport>
      <p className="unseen" role="status">
        {announced}
      </p>
      <p className="notice" role="status">
        {isHandedOff && "A person has taken over"}
      </p>
      <Composer title={bot.title} conversation={conversation} picking={picking} input={input} />
    </ThreadPrimitive.Root>
  );
}

/** What stands where nothing was said yet. */
function Welcome({ bot }: { bot: Bot }) {
  return (
    <section className="welcome">
      <h2>How can I help?</h2>
      {bot.description && <p>{bot.description}</p>}
      <ul className="choices" aria-label="First questions">
        {bot.suggestions.map((suggestion) => (
          <li key={suggestion}>
            <ThreadPrimitive.Suggestion prompt={suggestion} send>
              {suggestion}
            </ThreadPrimitive.Suggestion>
          </li>
        ))}
      </ul>
    </section>
  );
}

function AskWhy({ id, shown, show }: { id: string } & Reasons) {
  return (
    <button
      type="button"
      className="ask"
      aria-haspopup="dialog"
      aria-expanded={shown === id}
      onClick={({ currentTarget }) => {
        currentTarget.focus(); // Safari does not, and the panel gives the focus back to where it was
        show(shown === id ? null : id);
      }}
    >
      Why?
    </button>
  );
}

interface Composed extends Pick<InThread, "conversation" | "picking"> {
  title: string;
  input: RefObject<HTMLTextAreaElement | null>;
}

function Composer({ title, conversation, picking, input }: Composed) {
  const { stop, prepare, isWaiting, isRestoring, say } = conversation;
  const length = useAuiState((state) => state.composer.text.length);
  const isEmpty = useAuiState((state) => state.composer.text.trim() === "");
  const attach = useRef<HTMLButtonElement>(null);
  const { hasFiles = false, isSending = false, hasFailed = false } = picking ?? {};
  const hasFilesOnly = isEmpty && hasFiles; // which assistant-ui's composer would not send
  const isSendable = !isSending && !hasFailed && !isWaiting && !isRestoring;
  const isWriting = length > 0;
  useEffect(() => {
    if (isWriting) prepare();
  }, [isWriting, prepare]);

  function sendFiles() {
    if (isSendable) void say("", undefined, picking?.take());
    focusIfTyped();
  }

  function key(event: KeyboardEvent) {
    const { nativeEvent: pressed } = event;
    if (event.key !== "Enter" || event.shiftKey || pressed.isComposing) return;
    if (!hasFilesOnly && !isOfInputMethod(pressed)) return; // assistant-ui sends
    event.preventDefault();
    if (!isOfInputMethod(pressed)) sendFiles();
  }

  function focusIfTyped() {
    if (HAS_KEYBOARD) input.current?.focus();
  }

  function stopReply() {
    stop?.();
    focusIfTyped(); // the button goes
  }

  return (
    <ComposerPrimitive.Root className="composer">
      {picking && hasFiles && <PickedFiles picking={picking} removed={() => attach.current?.focus()} />}
      <div className="field">
        {picking && <Attach button={attach} picking={picking} picked={focusIfTyped} />}
        <ComposerPrimitive.Input
          ref={input}
          aria-label={`Message to ${title}`}
          placeholder="Write a message"
          maxLength={LONGEST_MESSAGE}
          maxRows={6}
          autoFocus={HAS_KEYBOARD}
          cancelOnEscape={false}
          enterKeyHint="send"
          onKeyDown={key}
          onPaste={(event) => paste(event, picking)}
        />
        {stop ? (
          <button type="button" className="stop" aria-label="Stop the reply" onClick={stopReply}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <rect x="7" y="7" width="10" height="10" rx="1.5" />
            </svg>
          </button>
        ) : hasFilesOnly ? (
          <button type="button" aria-label="Send" disabled={!isSendable} onClick={sendFiles}>
            <Arrow />
          </button>
        ) : (
          <ComposerPrimitive.Send aria-label="Send">
            <Arrow />
          </ComposerPrimitive.Send>
        )}
      </div>
      {picking && (
        <>
          <p className="quiet" role="status">
            {picking.refusal}
          </p>
          <p className="unseen" role="status">
            {picking.news}
          </p>
        </>
      )}
      {length >= COUNTED_FROM && (
        <p className="quiet" role="status">
          {length} of {LONGEST_MESSAGE} characters
        </p>
      )}
    </ComposerPrimitive.Root>
  );
}

function Arrow() {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d="M12 19V5M5.500 11.500 12 5l6.500 6.500" />
    </svg>
  );
}

function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M6 11.500C6 8.500 8.500 6 11.500 6h9C23.500 6 26 8.500 26 11.500v5c0 3-2.500 5.500-5.500 5.500H15l-5.800 4.600c-.6.5-1.500.1-1.500-.7v-4.700C6.600 20 6 18.300 6 16.500z" />
    </svg>
  );
}

/** The bot's own words for itself, as soon as they are there. The page works without them. */
function useBot(): Bot {
  const [bot, setBot] = useState(UNKNOWN_BOT);
  useEffect(() => {
    fetchBot(HOME).then(setBot, () => setBot(UNKNOWN_BOT));
  }, []);
  useEffect(() => {
    document.title = bot.title;
  }, [bot]);
  return bot;
}

function convertMessage(entry: Entry): ThreadMessageLike {
  const text = entry.kind === "person" ? entry.text : "";
  return {
    id: entry.id,
    role: entry.kind === "person" ? "user" : "assistant",
    content: text,
    metadata: { custom: { entry } },
  };
}

function textOf(message: AppendMessage): string {
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
}
