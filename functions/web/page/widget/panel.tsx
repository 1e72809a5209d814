/*
 * The panel: header, thread, composer, over the very conversation that the chat page has.
 *
 * A window beside the page where there is room, in which the focus comes and goes; the whole screen of a phone, from which
 * it cannot stray. The loader has the bubble, and says when to show what is here.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";

import { bot as fetchBot, type Bot } from "../conversation/api";
import { useDrop } from "../conversation/attach";
import { type Conversation, useConversation } from "../conversation/conversation";
import { buttonsOf } from "../conversation/entries";
import { Home } from "../conversation/home";
import { closeLines } from "../conversation/line";
import { AtHome } from "../conversation/markdown";
import { Message, useAnnouncement, useNews } from "../conversation/message";
import { usePicked } from "../conversation/picked";
import { BotName, Choices } from "../conversation/reply";
import { Composer, HAS_KEYBOARD } from "./composer";
import { Feedback } from "./feedback";
import type { Options } from "./options";
import style from "./panel.css";
import { useReading } from "./voice";

/** Where the panel goes, and whom it tells of what. */
export interface Place {
  widget: HTMLElement;
  options: Options;
  isSmall: MediaQueryList;
  close: () => void; // somebody wants it closed
  news: () => void; // there is something to read
}

export interface Panel {
  show: () => void;
  hide: () => void;
  destroy: () => void;
}

const AT_END_PX = 48; // so near to its end the thread stays there while it grows

export { style };

/** Puts the panel into its place, closed. */
export function mount(place: Place): Panel {
  const { api, bot } = place.options;
  const home = new Home(api, bot, () => localStorage, `parley ${api}`);
  const element = place.widget.appendChild(document.createElement("div"));
  const root = createRoot(element);
  let isShown = false;

  function render() {
    root.render(
      <AtHome.Provider value={home}>
        <Chat home={home} place={place} isShown={isShown} />
      </AtHome.Provider>,
    );
  }

  function turn(shown: boolean) {
    isShown = shown;
    render();
  }

  render();
  return {
    show: () => turn(true),
    hide: () => turn(false),
    destroy: () => {
      root.unmount();
      element.remove();
      closeLines();
    },
  };
}

function Chat({ home, place, isShown }: { home: Home; place: Place; isShown: boolean }) {
  const { options } = place;
  const bot = useBot(home, isShown);
  const title = options.title ?? bot?.title ?? "Chat";
  const conversation = useConversation(home, false, bot?.socket ?? null);
  const { entries, isRestoring, isHandedOff } = conversation;
  const picking = usePicked(conversation, bot?.uploads ?? null);
  const drop = useDrop(picking);
  const last = entries.at(-1);
  const news = useNews(entries, isRestoring);
  const announced = useAnnouncement(news, last?.kind === "coming", title);
  const reading = useReading(home, options.language, news, isShown);
  const input = useRef<HTMLTextAreaElement>(null);
  const dialog = useDialog(place, isShown, input);
  const buttons = last?.kind === "bot" && !isHandedOff ? buttonsOf(last.replies) : [];

  const isEmpty = entries.length === 0 && !picking?.hasFiles;

  useEffect(() => {
    if (news) place.news();
  }, [news, place]);

  function startOver() {
    picking?.clear();
    conversation.startOver();
  }

  return (
    <dialog
      ref={dialog}
      className={drop.isOver ? "panel target" : "panel"}
      aria-label={title}
      tabIndex={-1}
      onCancel={(event) => {
        if (event.target !== event.currentTarget) return; // somebody closed the file chooser
        event.preventDefault();
        place.close();
      }}
      {...drop.handlers}
    >
      <header className="top">
        <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M6 11.500C6 8.500 8.500 6 11.500 6h9C23.500 6 26 8.500 26 11.500v5c0 3-2.500 5.500-5.500 5.500H15l-5.800 4.600c-.6.5-1.500.1-1.500-.7v-4.700C6.600 20 6 18.300 6 16.500z" />
        </svg>
        <h2>{title}</h2>
        {reading && (
          <HeaderButton name="Read replies out" isPressed={reading.isAloud} press={reading.toggle}>
            <path d="M4 9.500v5h3.500l4.500 4v-13l-4.500 4z" />
            {reading.isAloud ? (
              <path d="M15.500 8.500a5 5 0 0 1 0 7M18 5.500a9 9 0 0 1 0 13" />
            ) : (
              <path d="M16 9.500l5 5M21 9.500l-5 5" />
            )}
          </HeaderButton>
        )}
        <HeaderButton name="New conversation" isDisabled={isEmpty} press={startOver}>
          <path d="M19.500 12a7.500 7.500 0 1 1-2.200-5.300M19.500 3.500v4h-4" />
        </HeaderButton>
        <HeaderButton name="Close" press={place.close}>
          <path d="M6 6l12 12M18 6 6 18" />
        </HeaderButton>
      </header>
      <Thread bot={bot} title={title} greeting={options.greeting} conversation={conversation} isShown={isShown}>
        {buttons.length > 0 && (
          <Choices
            buttons={buttons}
            disabled={conversation.isWaiting}
            choose={({ payload, title }) => {
              void conversation.say(payload, title);
              if (HAS_KEYBOARD) input.current?.focus(); // the button goes
            }}
          />
        )}
      </Thread>
      <p className="unseen" role="status">
        {announced}
      </p>
      <p className="notice" role="status">
        {isHandedOff && "A person has taken over"}
      </p>
      <Composer
        title={title}
        language={options.language}
        conversation={conversation}
        picking={picking}
        input={input}
      />
    </dialog>
  );
}

interface InThread {
  bot: Bot | null; // null: not known yet
  title: string;
  greeting: string | null;
  conversation: Conversation;
  isShown: boolean;
  children: React.ReactNode; // behind what was said
}

function Thread({ bot, title, greeting, conversation, isShown, children }: InThread) {
  const { entries, isRestoring, isWaiting, showEarlier, say } = conversation;
  const lastSaid = entries.findLast(({ kind }) => kind === "person")?.id;
  const scroll = useThreadsEnd(lastSaid, [entries, children, isShown]);

  return (
    <div className="scroll" ref={scroll} tabIndex={0} role="region" aria-label="Conversation">
      <div className="column" role="log" aria-live="off" aria-label="Messages" aria-busy={isRestoring}>
        {showEarlier && (
          <button type="button" className="earlier" onClick={() => void showEarlier()}>
            Show earlier messages
          </button>
        )}
        {entries.length === 0 && !isRestoring && (
          <section className="welcome">
            <h3>{greeting ?? "How can I help?"}</h3>
            {!greeting && bot?.description && <p>{bot.description}</p>}
            <ul className="choices" aria-label="First questions">
              {bot?.suggestions.map((suggestion) => (
                <li key={suggestion}>
                  <button type="button" disabled={isWaiting} onClick={() => void say(suggestion)}>
                    {suggestion}
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
        <BotName.Provider value={bot?.name ?? ""}>
          {entries.map((entry) => (
            <Message key={entry.id} entry={entry} title={title} conversation={conversation}>
              {entry.kind === "bot" && <Feedback turnId={entry.id} given={entry.rating} />}
            </Message>
          ))}
        </BotName.Provider>
        {children}
      </div>
    </div>
  );
}

interface Pressed {
  name: string;
  isPressed?: boolean;
  isDisabled?: boolean;
  press: () => void;
  children: React.ReactNode;
}

function HeaderButton({ name, isPressed, isDisabled, press, children }: Pressed) {
  return (
    <button type="button" aria-label={name} title={name} aria-pressed={isPressed} disabled={isDisabled} onClick={press}>
      <svg viewBox="0 0 24 24" aria-hidden="true">
        {children}
      </svg>
    </button>
  );
}

/** The dialog as it is to be shown: beside the page, or over all of a small screen, where nothing else can be reached. */
function useDialog({ isSmall, widget }: Place, isShown: boolean, input: React.RefObject<HTMLTextAreaElement | null>) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isModal = useSyncExternalStore(
    useCallback(
      (changed) => {
        isSmall.addEventListener("change", changed);
        return () => isSmall.removeEventListener("change", changed);
      },
      [isSmall],
    ),
    () => isSmall.matches,
  );

  useLayoutEffect(() => {
    const shown = dialog.current!;
    if (!isShown) return;
    widget.classList.toggle("small", isModal);
    if (isModal) shown.showModal();
    else shown.show();
    if (HAS_KEYBOARD) input.current?.focus();
    else shown.focus();
    return () => shown.close();
  }, [isShown, isModal, widget, input]);

  useEffect(() => {
    if (isShown && isModal) return followScreen(dialog.current!);
  }, [isShown, isModal]);

  return dialog;
}

/** Keeps to what is left of the screen: on phones the keyboard covers the rest. */
function followScreen(dialog: HTMLDialogElement): () => void {
  const screen = window.visualViewport;
  if (!screen) return () => {};
  const { style } = dialog;
  function fit() {
    style.setProperty("--height", `${screen!.height}px`);
    style.setProperty("--top", `${screen!.offsetTop}px`);
  }
  fit();
  screen.addEventListener("resize", fit);
  screen.addEventListener("scroll", fit);
  return () => {
    screen.removeEventListener("resize", fit);
    screen.removeEventListener("scroll", fit);
    style.removeProperty("--height");
    style.removeProperty("--top");
  };
}

/** A scrolled element that stays at its end while what is in it grows, unless somebody reads further up and says nothing. */
function useThreadsEnd(lastSaid: string | undefined, grows: readonly unknown[]) {
  const scroll = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);

  useLayoutEffect(() => {
    isAtEnd.current = true;
  }, [lastSaid]);

  useLayoutEffect(() => {
    const element = scroll.current!;
    if (isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, grows);

  useEffect(() => {
    const element = scroll.current!;
    function look() {
      isAtEnd.current = element.scrollHeight - element.clientHeight - element.scrollTop < AT_END_PX;
    }
    const resized = new ResizeObserver(() => {
      if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    });
    resized.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);

  return scroll;
}

/** The bot's own words for itself, asked for when somebody is about to see them; null while they are not there. */
function useBot(home: Home, isShown: boolean): Bot | null {
  const [bot, setBot] = useState<Bot | null>(null);
  useEffect(() => {
    if (isShown || home.remembered) fetchBot(home).then(setBot, () => setBot(null));
  }, [home, isShown]);
  return bot;
}
