/*
 * Who begins a conversation: a message, or a file that is sent before one. Only one of them does; the others wait for it.
 */
export class Beginning {
  private underway: Promise<void> | null = null;

  /** Waits until nobody is about to begin one. */
  async over(): Promise<void> {
    while (this.underway) await this.underway;
  }

  get isUnderway(): boolean {
    return this.underway !== null;
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
