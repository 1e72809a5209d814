/*
 * Voice, as far as the browser has one: what is heard goes into the message, and replies are read out.
 *
 * What is heard is sent by whoever said it, and not by itself: speech is misheard. The browser, or whoever it asks, does
 * the listening; nothing of it passes the bot.
 */
import { useCallback, useEffect, useRef, useState } from "react";

import { type Entry, spoken } from "../conversation/entries";
import type { Home } from "../conversation/home";

/** The part of the Web Speech API's recogniser that is used here. */
interface Recogniser {
  lang: string;
  interimResults: boolean;
  onresult: ((event: { results: ArrayLike<ArrayLike<{ transcript: string }>> }) => void) | null;
  onerror: ((event: { error: string }) => void) | null;
  onend: (() => void) | null;
  start: () => void;
  abort: () => void;
  stop: () => void;
}

interface Browser {
  SpeechRecognition?: new () => Recogniser;
  webkitSpeechRecognition?: new () => Recogniser; // Chromium and Safari
}

const TROUBLES: Record<string, string> = {
  aborted: "", // the person did
  "no-speech": "Nothing was heard.",
  "audio-capture": "There is no microphone.",
  "not-allowed": "This page may not use the microphone.",
  "service-not-allowed": "This page may not use the microphone.",
  "language-not-supported": "This language is not understood here.",
  network: "Speech cannot be recognised at the moment.",
};

export interface Dictation {
  isListening: boolean;
  trouble: string; // a sentence; "": none
  toggle: () => void;
  drop: () => void; // listens no more, and nothing of it is told any more
}

/**
 * Listening, where the browser can and while the panel is shown. `hears` is told all that was heard since it began, again
 * with every word.
 */
export function useDictation(language: string, isShown: boolean, hears: (words: string) => void): Dictation | null {
  const [isListening, setListening] = useState(false);
  const [trouble, setTrouble] = useState("");
  const recogniser = useRef<Recogniser | null>(null);
  const tell = useRef(hears);
  tell.current = hears;

  const start = useCallback(() => {
    const Kind = recogniserKind();
    if (!Kind) return;
    const started = new Kind();
    started.lang = language;
    started.interimResults = true;
    started.onresult = ({ results }) => tell.current(Array.from(results, (result) => result[0]!.transcript).join(""));
    started.onerror = ({ error }) => setTrouble(TROUBLES[error] ?? "Speech cannot be recognised here.");
    started.onend = () => {
      if (recogniser.current !== started) return;
      recogniser.current = null;
      setListening(false);
    };
    setTrouble("");
    try {
      started.start();
    } catch {
      setTrouble("Speech cannot be recognised here.");
      return;
    }
    recogniser.current = started;
    setListening(true);
  }, [language]);

  const drop = useCallback(() => {
    const dropped = recogniser.current;
    if (!dropped) return;
    recogniser.current = null;
    dropped.onresult = dropped.onerror = null; // the last words come after the end
    dropped.abort();
    setListening(false);
  }, []);
  const toggle = useCallback(() => (recogniser.current ? recogniser.current.stop() : start()), [start]);

  useEffect(() => {
    if (isShown) return drop;
  }, [isShown, drop]);

  return recogniserKind() ? { isListening, trouble, toggle, drop } : null;
}

function recogniserKind() {
  const { SpeechRecognition, webkitSpeechRecognition } = window as unknown as Browser;
  return SpeechRecognition ?? webkitSpeechRecognition;
}

export interface Reading {
  isAloud: boolean;
  toggle: () => void;
}

/** Reading replies out, where the browser can, once the person has asked for it. Stops when the panel is closed. */
export function useReading(home: Home, language: string, news: Entry | null, isShown: boolean): Reading | null {
  const [isAloud, setAloud] = useState(() => home.kept<boolean>("aloud") ?? false);
  const read = useRef(news);
  const voice = typeof speechSynthesis === "undefined" ? null : speechSynthesis;
  const isReading = isAloud && isShown;

  useEffect(() => {
    const isNew = read.current !== news;
    read.current = news;
    if (!voice || !isReading || !isNew || !news) return;
    voice.cancel();
    for (const sentence of sentencesOf(spoken(news))) voice.speak(utteranceOf(sentence, language));
  }, [voice, isReading, news, language]);

  useEffect(() => {
    if (isReading) return () => voice?.cancel();
  }, [voice, isReading]);

  const toggle = useCallback(() => {
    home.keep("aloud", !isAloud || null);
    setAloud(!isAloud);
    if (!isAloud) voice?.speak(utteranceOf("", language)); // Safari lets a page speak that has spoken on a click
  }, [home, isAloud, voice, language]);

  return voice ? { isAloud, toggle } : null;
}

/** Chromium falls silent within an utterance that takes longer than about 15 s. */
function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.!?…。！？])\s+|\n+/).filter((sentence) => sentence.trim());
}

function utteranceOf(text: string, language: string): SpeechSynthesisUtterance {
  const utterance = new SpeechSynthesisUtterance(text);
  utterance.lang = language;
  return utterance;
}
