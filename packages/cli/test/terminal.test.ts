import { assert, it, vi } from "@effect/vitest"
import { Effect } from "effect"
import { UsageError } from "../src/errors.ts"
import { complain, latestLog, print, say, showStatus, stderrLogger } from "../src/terminal.ts"

/** What the effect prints on stderr. */
const printedBy = (effect: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const written: Array<unknown> = []
    const write = vi.spyOn(process.stderr, "write").mockImplementation((chunk) => written.push(chunk) > 0)
    yield* Effect.ensuring(effect, Effect.sync(() => write.mockRestore()))
    return written.join("")
  })

it.effect("a typed error is one line without passwords", () =>
  Effect.gen(function*() {
    const error = new UsageError({ message: "postgres://me:s3cret@host/lab:\n  no answer" })
    const text = yield* printedBy(Effect.sync(() => complain(error)))
    assert.strictEqual(text, "sampleline: postgres://host/lab: no answer\n")
  }))

it.effect("a bug is printed with its stack", () =>
  Effect.gen(function*() {
    const text = yield* printedBy(Effect.sync(() => complain(new TypeError("x is not a function"))))
    assert.match(text, /^sampleline: internal error: TypeError: x is not a function\n +at /)
  }))

it.effect("a log line has the time of day, the level and no password", () =>
  Effect.gen(function*() {
    const text = yield* printedBy(
      Effect.provide(Effect.logWarning("cannot open tcp://me:s3cret@10.0.0.2:4001"), stderrLogger)
    )
    assert.match(text, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARN cannot open tcp:\/\/10\.0\.0\.2:4001\n$/)
  }))

it.effect("a picture that stands still gets no new log lines", () =>
  Effect.gen(function*() {
    const before = latestLog()
    const lines = before.map(({ text }) => text)
    yield* printedBy(Effect.provide(Effect.logWarning("later"), stderrLogger))
    assert.deepStrictEqual(before.map(({ text }) => text), lines)
    assert.match(latestLog().at(-1)!.text, / WARN later$/)
  }))

it.effect("a line goes above the status line", () =>
  Effect.gen(function*() {
    const text = yield* printedBy(Effect.andThen(showStatus("1.0 s"), Effect.sync(() => (say("first"), say("second")))))
    assert.strictEqual(text, "\r\u001b[K1.0 s\r\u001b[Kfirst\n1.0 s\r\u001b[Ksecond\n1.0 s")
  }))

it.effect("a result on stdout does not follow the status line", () =>
  Effect.gen(function*() {
    const write = vi.spyOn(process.stdout, "write").mockReturnValue(true)
    const text = yield* printedBy(Effect.andThen(showStatus("1.0 s"), Effect.sync(() => print("result"))))
    assert.deepStrictEqual(write.mock.calls, [["result\n"]])
    write.mockRestore()
    assert.strictEqual(text, "\r\u001b[K1.0 s\r\u001b[K")
  }))

it.effect("a status line is cut to the width of the terminal, if that is known", () =>
  Effect.gen(function*() {
    const { columns } = process.stderr
    const shown = Effect.fnUntraced(function*(width: number) {
      yield* Effect.sync(() => process.stderr.columns = width)
      return yield* printedBy(showStatus("0.5 s   3 failures"))
    })
    const texts = [yield* shown(0), yield* shown(8)]
    yield* Effect.sync(() => process.stderr.columns = columns)
    assert.deepStrictEqual(texts, ["\r\u001b[K0.5 s   3 failures", "\r\u001b[K0.5 s  "])
  }))
