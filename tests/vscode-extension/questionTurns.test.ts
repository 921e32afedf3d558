// Questions that the user is asked one at a time: what comes while one is answered is not forgotten.
import { describe, expect, test } from "vitest";
import { QuestionTurns, type AnswerScope } from "../../vscode-extension/src/apply/questionTurns.ts";

/** A user who answers when told to. */
function asking() {
  const asked: string[] = [];
  const answers: PromiseWithResolvers<AnswerScope>[] = [];
  const questions = new QuestionTurns((subject: string) => {
    asked.push(subject);
    const answer = Promise.withResolvers<AnswerScope>();
    answers.push(answer);
    return answer.promise;
  });
  return { asked, answers, questions };
}

describe("questions", () => {
  test("of those that come while one is answered the last is asked next", async () => {
    const { asked, answers, questions } = asking();
    const first = questions.ask("a");
    for (const subject of ["b", "c"]) await questions.ask(subject);
    expect(asked).toEqual(["a"]);
    answers[0]?.resolve("this");
    await expect.poll(() => asked).toEqual(["a", "c"]);
    answers[1]?.resolve("this");
    await first;
    expect(asked).toEqual(["a", "c"]);
  });

  test.each(["an answer for all", "what took the question away"])("none is asked after %s", async (why) => {
    const { asked, answers, questions } = asking();
    const first = questions.ask("a");
    await questions.ask("b");
    if (why === "what took the question away") questions.forget();
    answers[0]?.resolve(why === "an answer for all" ? "all" : "this");
    await first;
    expect(asked).toEqual(["a"]);
    const next = questions.ask("c");
    answers[1]?.resolve("this");
    await next;
    expect(asked).toEqual(["a", "c"]);
  });

  test("one that fails leaves the way to the next", async () => {
    const { asked, answers, questions } = asking();
    const first = questions.ask("a");
    answers[0]?.reject(new Error("no window"));
    await expect(first).rejects.toThrow("no window");
    const next = questions.ask("b");
    answers[1]?.resolve("this");
    await next;
    expect(asked).toEqual(["a", "b"]);
  });
});
