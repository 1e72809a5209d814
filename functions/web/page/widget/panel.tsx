/*
 * The panel: header, thread, composer, over the very conversation that the chat page has.
 *
 * A window beside the page where there is room, in which the focus comes and goes; the whole screen of a phone, from which
 * it cannot stray. The loader has the bubble, and says when to show what is here.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
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
  show: (isQuiet?: boolean) => void; // or again, where the page has taken it away; quietly: the focus stays where it is
  hide: () => void;
  destroy: () => void;
}

const AT_END_PX = 48; // so near to its end the thread stays there while it grows
const KEYBOARD_GOES_MS = 500; // from the screen, once the field has lost the focus

/** How the panel was last shown: another one each time. */
interface Showing {
  isQuiet: boolean;
}

export { style };

/** Puts the panel into its place, closed. */
export function mount(place: Place): Panel {
  const { api, bot } = place.options;
  const home = new Home(api, bot, () => localStorage, `parley ${api}`);
  const element = place.widget.appendChild(document.createElement("div"));
  const root = createRoot(element);

  function render(showing: Showing | null) {
    root.render(
      <AtHome.Provider value={home}>
        <Chat home={home} place={place} showing={showing} />
      </AtHome.Provider>,
    );
  }

  render(null);
  return {
    show: (isQuiet = false) => render({ isQuiet }),
    hide: () => render(null),
    destroy: () => {
      root.unmount();
      element.remove();
      closeLines();
    },
  };
}

function Chat({ home, place, showing }: { home: Home; place: Place; showing: Showing | null }) {
  const { options } = place;
  const isShown = showing !== null;
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
  const dialog = useRef<HTMLDialogElement>(null);
  const focus = useCallback(() => (HAS_KEYBOARD ? input : dialog).current?.focus(), []);
  useDialog(dialog, input, place, showing, focus);
  const buttons = last?.kind === "bot" && !isHandedOff ? buttonsOf(last.replies) : [];

  const isEmpty = entries.length === 0 && !picking?.hasFiles;

  useEffect(() => {
    if (news) place.news();
  }, [news, place]);

  function startOver() {
    picking?.clear();
    conversation.startOver();
    focus();
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
      <Thread
        bot={bot}
        title={title}
        greeting={options.greeting}
        conversation={conversation}
        showing={showing}
        goes={focus}
      >
        {buttons.length > 0 && (
          <Choices
            buttons={buttons}
            disabled={conversation.isWaiting}
            choose={({ payload, title }) => {
              void conversation.say(payload, title);
              focus(); // the button goes
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
        isShown={isShown}
      />
    </dialog>
  );
}

interface InThread {
  bot: Bot | null; // null: not known yet
  title: string;
  greeting: string | null;
  conversation: Conversation;
  showing: Showing | null;
  goes: () => void; // a button that was pressed
  children: React.ReactNode; // behind what was said
}

function Thread({ bot, title, greeting, conversation, showing, goes, children }: InThread) {
  const { entries, isRestoring, isWaiting, showEarlier, say } = conversation;
  const lastSaid = entries.findLast(({ kind }) => kind === "person")?.id;
  const scroll = useThreadsEnd(lastSaid, [entries, children, showing]);

  return (
    <div className="scroll" ref={scroll} tabIndex={0} role="region" aria-label="Conversation">
      <div className="column" role="log" aria-live="off" aria-label="Messages" aria-busy={isRestoring}>
        {showEarlier && <Earlier show={showEarlier} goes={() => scroll.current?.focus({ preventScroll: true })} />}
        {entries.length === 0 && !isRestoring && (
          <section className="welcome">
            <h3>{greeting ?? "How can I help?"}</h3>
            {!greeting && bot?.description && <p>{bot.description}</p>}
            <ul className="choices" aria-label="First questions">
              {bot?.suggestions.map((suggestion) => (
                <li key={suggestion}>
                  <button
                    type="button"
                    disabled={isWaiting}
                    onClick={() => {
                      void say(suggestion);
                      goes();
                    }}
                  >
                    {suggestion}
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
        <BotName.Provider value={bot?.name ?? ""}>
          {entries.map((entry) => (
            <Message key={entry.id} entry={entry} title={title} conversation={conversation} goes={goes}>
              {entry.kind === "bot" && <Feedback turnId={entry.id} given={entry.rating} />}
            </Message>
          ))}
        </BotName.Provider>
        {children}
      </div>
    </div>
  );
}

/** It goes where nothing is left to show, and stays, with the focus, as long as there is. */
function Earlier({ show, goes }: { show: () => Promise<void>; goes: () => void }) {
  const button = useRef<HTMLButtonElement>(null);
  const leave = useRef(goes);
  leave.current = goes;
  useLayoutEffect(() => {
    const shown = button.current!;
    return () => {
      if (shown.matches(":focus")) leave.current();
    };
  }, []);
  return (
    <button ref={button} type="button" className="earlier" onClick={() => void show()}>
      Show earlier messages
    </button>
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

/** Shows the dialog: beside the page, or over all of a small screen, where nothing else can be reached. */
function useDialog(
  dialog: React.RefObject<HTMLDialogElement | null>,
  input: React.RefObject<HTMLTextAreaElement | null>,
  { isSmall, widget }: Place,
  showing: Showing | null,
  focus: () => void,
): void {
  const isModal = useSmall(isSmall, input);

  useLayoutEffect(() => {
    const shown = dialog.current!;
    if (!showing) return;
    widget.classList.toggle("small", isModal);
    if (isModal) shown.showModal();
    else if (showing.isQuiet) shown.open = true; // `show` would move the focus
    else shown.show();
    if (isModal || !showing.isQuiet) focus();
    return () => shown.close();
  }, [dialog, showing, isModal, widget, focus]);

  const isShown = showing !== null;
  useEffect(() => {
    if (isShown && isModal) return followScreen(dialog.current!);
  }, [dialog, isShown, isModal]);
}

/**
 * Whether the screen is small. Not told while somebody writes: a keyboard on the screen may take so much of it that what is
 * left is small, and a dialog that is shown anew takes the focus, and with it the keyboard.
 */
function useSmall(screen: MediaQueryList, input: React.RefObject<HTMLTextAreaElement | null>): boolean {
  const [isSmall, setSmall] = useState(screen.matches);
  useEffect(() => {
    const field = input.current!;
    let timer: number | undefined;
    function look() {
      if ((field.getRootNode() as ShadowRoot).activeElement !== field) setSmall(screen.matches);
    }
    function lookLater() {
      clearTimeout(timer);
      timer = window.setTimeout(look, KEYBOARD_GOES_MS);
    }
    look();
    screen.addEventListener("change", look);
    field.addEventListener("blur", lookLater);
    return () => {
      clearTimeout(timer);
      screen.removeEventListener("change", look);
      field.removeEventListener("blur", lookLater);
    };
  }, [screen, input]);
  return isSmall;
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
