/** Whether an answer was for all that may have come meanwhile, or only for what was asked about. */
export type AnswerScope = "all" | "this";

/** Asks one question at a time. Of what comes while one is answered the last is asked about next: the rest is past. */
export class QuestionTurns<Subject> {
  readonly #ask: (subject: Subject) => Promise<AnswerScope>;
  #waiting: { readonly subject: Subject } | undefined;
  #isAsking = false;

  constructor(ask: (subject: Subject) => Promise<AnswerScope>) {
    this.#ask = ask;
  }

  async ask(subject: Subject): Promise<void> {
    this.#waiting = { subject };
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      for (let next = this.#take(); next !== undefined; next = this.#take())
        if ((await this.#ask(next.subject)) === "all") this.forget();
    } finally {
      this.#isAsking = false;
      this.forget();
    }
  }

  /** What waits need not be asked about any more. */
  forget(): void {
    this.#waiting = undefined;
  }

  #take(): { readonly subject: Subject } | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
