/**
 * Commands of alarms, with real programs.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FileSystem, Logger, Queue, Result, Schema } from "effect"
import * as fs from "node:fs"
import * as AlarmCommand from "../src/AlarmCommand.ts"
import type { AlarmChange } from "../src/Alarms.ts"

const change: AlarmChange = {
  state: "raised",
  alarm: "fuel.Mass_Flow < 90",
  runId: "run-1",
  device: "$(touch pwned)",
  target: null,
  field: "Mass_Flow",
  value: 84.2,
  unit: "SCCM",
  threshold: 90,
  at: 2_000_000,
  since: 1_000_000,
  until: null,
  lastedMicros: null,
  count: 1,
  message: "alarm"
}

/** A folder, and a command in a shell that was asked for, with what is logged. */
const prepared = Effect.fnUntraced(function*(script: string, options: Partial<AlarmCommand.AlarmCommandOptions> = {}) {
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped()
  const logged = yield* Queue.unbounded<string>()
  const logger = Logger.make(({ logLevel, message }) => {
    Queue.offerUnsafe(logged, `${logLevel} ${[message].flat().join(" ")}`)
  })
  const command = ["sh", "-c", `cd '${folder}'; ${script}`] as const
  return {
    folder,
    logged,
    read: (name: string) => fs.readFileSync(`${folder}/${name}`, "utf8"),
    make: AlarmCommand.make({ command, ...options }),
    withLog: Effect.provide(Logger.layer([logger]))
  }
})

/** Returns when a process has gone, or only waits to be reaped. */
const gone = (pid: string): Effect.Effect<void> =>
  Effect.suspend(() =>
    /^State:\s+[^ZX]/m.test(statusOf(pid)) ? Effect.andThen(Effect.sleep(5), gone(pid)) : Effect.void
  )

const statusOf = (pid: string): string => {
  try {
    return fs.readFileSync(`/proc/${Number(pid)}/status`, "utf8")
  } catch {
    return ""
  }
}

it.layer(NodeServices.layer, { excludeTestServices: true })("the command of an alarm", (it) => {
  it.effect("gets the values in its environment, and its output is logged without control characters", () =>
    Effect.gen(function*() {
      const { folder, logged, make, read, withLog } = yield* prepared(
        "env | grep ^SAMPLELINE_ | sort > env; printf 'sent\\033[31m red\\007\\nlast'; exit 3"
      )
      yield* Effect.gen(function*() {
        const notify = yield* make
        yield* notify(change)
        assert.strictEqual(yield* Queue.take(logged), "Info the alarm command sh: sent red")
        assert.strictEqual(yield* Queue.take(logged), "Info the alarm command sh: last")
        assert.strictEqual(yield* Queue.take(logged), "Warn the alarm command sh failed with exit code 3")
      }).pipe(withLog)
      assert.deepStrictEqual(read("env").trimEnd().split("\n"), [
        "SAMPLELINE_ALARM=fuel.Mass_Flow < 90",
        "SAMPLELINE_AT=1970-01-01T00:00:02.000000Z",
        "SAMPLELINE_COUNT=1",
        "SAMPLELINE_DEVICE=$(touch pwned)",
        "SAMPLELINE_FIELD=Mass_Flow",
        "SAMPLELINE_LEFT_OUT=0",
        "SAMPLELINE_MESSAGE=alarm",
        "SAMPLELINE_RUN=run-1",
        "SAMPLELINE_SINCE=1970-01-01T00:00:01.000000Z",
        "SAMPLELINE_STATE=raised",
        "SAMPLELINE_TARGET=",
        "SAMPLELINE_THRESHOLD=90",
        "SAMPLELINE_UNIT=SCCM",
        "SAMPLELINE_VALUE=84.2"
      ])
      assert.deepStrictEqual(fs.readdirSync(folder), ["env"])
    }))

  it.effect("runs once at a time, and of a thousand changes the last one that waits is kept", () =>
    Effect.gen(function*() {
      const { folder, make, read, withLog } = yield* prepared(
        "mkdir lock || echo two >> overlaps; echo $SAMPLELINE_VALUE $SAMPLELINE_LEFT_OUT >> starts; "
          + "while [ ! -e go ]; do sleep 0.01; done; rmdir lock",
        { grace: "30 seconds" }
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const notify = yield* make
        yield* notify({ ...change, value: 0 })
        while (!fs.existsSync(`${folder}/starts`)) yield* Effect.sleep(5)
        for (let value = 1; value <= 1000; value++) yield* notify({ ...change, value })
        fs.writeFileSync(`${folder}/go`, "")
      })).pipe(withLog)
      assert.strictEqual(read("starts"), "0 0\n1000 999\n")
      assert.isFalse(fs.existsSync(`${folder}/overlaps`))
    }))

  it.effect("is killed with all that it started when it takes too long", () =>
    Effect.gen(function*() {
      const { logged, make, read, withLog } = yield* prepared("sleep 60 & echo $! > child; echo $$ > self; wait", {
        timeout: "300 millis"
      })
      yield* Effect.gen(function*() {
        const notify = yield* make
        yield* notify(change)
        assert.strictEqual(
          yield* Queue.take(logged),
          "Warn the alarm command sh was killed, because it took longer than 300ms"
        )
      }).pipe(withLog)
      for (const name of ["self", "child"]) yield* gone(read(name))
    }))

  it.effect("does not hold up the end: it gets a short time, and is then killed", () =>
    Effect.gen(function*() {
      const { folder, make, read, withLog } = yield* prepared("echo $$ > self; sleep 60", { grace: "50 millis" })
      const [took] = yield* Effect.timed(
        Effect.scoped(Effect.gen(function*() {
          const notify = yield* make
          yield* notify(change)
          while (!fs.existsSync(`${folder}/self`) || read("self") === "") yield* Effect.sleep(5)
        })).pipe(withLog)
      )
      assert.isBelow(Duration.toSeconds(took), 30)
      yield* gone(read("self"))
    }))

  it.effect("that prints without end, or cannot be started, is a warning", () =>
    Effect.gen(function*() {
      const { logged, make, withLog } = yield* prepared("yes | head -c 3000000; echo")
      yield* Effect.gen(function*() {
        const notify = yield* make
        yield* notify(change)
        for (let n = 0; n < 20; n++) assert.strictEqual(yield* Queue.take(logged), "Info the alarm command sh: y")
        assert.match(yield* Queue.take(logged), /and \d+ more lines$/)

        const missing = yield* AlarmCommand.make({ command: ["/no/such/program"] })
        yield* missing(change)
        assert.match(yield* Queue.take(logged), /^Warn the alarm command program could not be started: .*ENOENT/)
      }).pipe(withLog)
    }))

  it.effect("is looked up: a path, or a name in PATH", () =>
    Effect.gen(function*() {
      yield* AlarmCommand.check(["sh"])
      yield* AlarmCommand.check([process.execPath, "-e", ""])
      for (const program of ["no-such-program", "/etc/passwd", "/tmp", "~/alert"]) {
        const error = yield* Effect.flip(AlarmCommand.check([program]))
        assert.include(error.message, `there is no program "${program}"`)
      }
    }))
})

describe("the text of a command", () => {
  const wordsOf = (text: string) => {
    const parsed = AlarmCommand.parse(text)
    return Result.isSuccess(parsed) ? parsed.success : parsed.failure.message
  }

  it.each<[string, ReadonlyArray<string>]>([
    ["notify-send sampleline", ["notify-send", "sampleline"]],
    ["  a\t'b c' \"d \\\"e\\\" \\n\"  f\\ g ''", ["a", "b c", "d \"e\" \\n", "f g", ""]],
    ["a'b'\"c\"d", ["abcd"]],
    ["sh -c 'echo $SAMPLELINE_VALUE | mail x'", ["sh", "-c", "echo $SAMPLELINE_VALUE | mail x"]],
    ["a \"\\$b\" \\| c*?~#", ["a", "$b", "|", "c*?~#"]]
  ])("%s", (text, words) => assert.deepStrictEqual<unknown>(wordsOf(text), words))

  it.each([
    ["", "expected a program"],
    ["'' a", "expected a program"],
    ["a 'b", "the quote ' is never closed"],
    ["a \"b", "the quote \" is never closed"],
    ["a \\", "expected a character behind the last \\"],
    ["a | b", "there is no shell for |"],
    ["a \"$SAMPLELINE_VALUE\"", "there is no shell for |"],
    ["a > b", "there is no shell for |"]
  ])("%j is refused", (text, message) => assert.include(wordsOf(text), message))

  it.prop("is words or an error, and words that are quoted come back", [
    Schema.String,
    Schema.Array(Schema.String)
  ], ([text, words]) => {
    AlarmCommand.parse(text)
    const quoted = ["program", ...words].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ")
    assert.deepStrictEqual<unknown>(wordsOf(quoted), ["program", ...words])
  }, { arbitrary: { runs: 500 } })
})
