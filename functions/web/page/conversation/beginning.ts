/*
 * Who begins a conversation: a message, or a file that is sent before one. Only one of them does; the others wait for it.
 */
export class Beginning {
  private underway: Promise<void> | null = null;

  /** What to wait for before one is begun, and then to ask again; null: nobody is about to. */
  get awaited(): Promise<void> | null {
    return this.underway;
  }

  /** Lets the others wait until the function that it gives is called. */
  hold(): () => void {
    let end!: () => void;
    const held = new Promise<void>((resolve) => (end = resolve));
    this.underway = held;
    return () => {
      if (this.underway === held) this.underway = null;
      end();
    };
  }
}
