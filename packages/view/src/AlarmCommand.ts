/**
 * A program that is run for each change of an alarm, such as one that sends a message. There is no shell: the values are in its
 * environment, never in its arguments.
 *
 * One runs at a time, and of the changes that come meanwhile the last one is kept. A program has ended when it has exited and all
 * that it started has closed its output. It has ten seconds for that. Whatever is left of its process group is then killed.
 */
import { formatTimestamp, messageOf } from "@sampleline/core"
import { type Cause, Deferred, Duration, Effect, Fiber, Option, Pull, Queue, Result, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Readable } from "node:stream"
import { stripVTControlCharacters } from "node:util"
import type { AlarmChange } from "./Alarms.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface AlarmCommandOptions {
  /** The program and its arguments. */
  readonly command: readonly [program: string, ...args: ReadonlyArray<string>]
  /** How long it may take. Default: 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** How long it may still take when the scope closes. Default: 2 seconds. */
  readonly grace?: Duration.Input | undefined
}

/**
 * A command that cannot be used.
 *
 * @since 0.1.0
 * @category errors
 */
export class AlarmCommandError extends Schema.TaggedError<AlarmCommandError>()("AlarmCommandError", {
  message: Schema.String
}) {}

type Command = AlarmCommandOptions["command"]

/**
 * The words of a command, by the quoting rules of a shell: `'...'` is literal, in `"..."` and outside of quotes `\` takes the next
 * character as it is. Fails for what only a shell could do, such as `|` or `$NAME`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parse = (text: string): Result.Result<Command, AlarmCommandError> => {
  const fail = (message: string) => Result.fail(new AlarmCommandError({ message }))
  const words: Array<string> = []
  const part =
    /(?<space>\s+)|'(?<literal>[^']*)'|"(?<quoted>(?:[^"\\$`]|\\.)*)"|\\(?<escaped>.)|(?<plain>[^\s'"\\|&;<>()$`]+)/ysu
  let isInWord = false
  while (part.lastIndex < text.length) {
    const { lastIndex } = part
    const found = part.exec(text)?.groups
    if (found === undefined) {
      const character = text[lastIndex]!
      if (character === "\\") return fail("expected a character behind the last \\")
      return character === "'" || character === "\"" && !/[$`]/.test(text.slice(lastIndex))
        ? fail(`the quote ${character} is never closed`)
        : fail(
          "there is no shell for | & ; < > ( ) $ `; write sh -c '...' if you need one, or quote the character by '...'"
        )
    }
    if (found["space"] !== undefined) {
      isInWord = false
      continue
    }
    const { escaped, literal, plain, quoted } = found
    const piece = literal ?? quoted?.replaceAll(/\\(["\\$`])/g, "$1") ?? escaped ?? plain ?? ""
    if (isInWord) words.push(`${words.pop()}${piece}`)
    else words.push(piece)
    isInWord = true
  }
  const [program, ...args] = words
  return program === undefined || program === ""
    ? fail("expected a program, such as notify-send \"sampleline\"")
    : Result.succeed([program, ...args])
}

/**
 * Fails if there is no such program: `program` is a path, or a name that is looked for in `PATH`.
 *
 * @since 0.1.0
 * @category validation
 */
export const check = ([program]: Command): Effect.Effect<void, AlarmCommandError> =>
  Effect.suspend(() => {
    const places = /[/\\]/.test(program)
      ? [program]
      : (process.env["PATH"] ?? "").split(path.delimiter).map((folder) => path.join(folder || ".", program))
    if (places.flatMap(withExtensions).some(isProgram)) return Effect.void
    const hint = program.startsWith("~") ? "; there is no shell for ~, so write the whole path" : ""
    return Effect.fail(new AlarmCommandError({ message: `there is no program ${JSON.stringify(program)}${hint}` }))
  })

const withExtensions = (file: string): ReadonlyArray<string> =>
  process.platform === "win32"
    ? ["", ...(process.env["PATHEXT"] ?? ".EXE").split(";")].map((extension) => file + extension)
    : [file]

const isProgram = (file: string): boolean => {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
}

/**
 * Runs the command for each change that it is given, and returns at once. When the scope closes, a running one is given a short
 * time, and then killed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  options: AlarmCommandOptions
): Effect.fn.Return<(change: AlarmChange) => Effect.Effect<void>, never, Scope.Scope> {
  const { command } = options
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "10 seconds")
  const waiting = yield* Queue.sliding<AlarmChange, Cause.Done>(1)
  let given = 0
  let seen = 0
  const next = Effect.gen(function*() {
    const change = yield* Queue.take(waiting)
    const leftOut = given - seen - 1
    seen = given
    yield* runOnce(command, environmentOf(change, leftOut), timeout)
  })
  const worker = yield* Effect.forkScoped(Pull.catchDone(Effect.forever(next), () => Effect.void))
  yield* Effect.addFinalizer(() =>
    Effect.andThen(Queue.end(waiting), Effect.timeoutOption(Fiber.await(worker), options.grace ?? "2 seconds"))
  )
  return (change) =>
    Effect.suspend(() => {
      given++
      return Queue.offer(waiting, change)
    })
})

/** All of them are there each time: an empty one is not known. `leftOut` changes were given to no program before this one. */
const environmentOf = (change: AlarmChange, leftOut: number): NodeJS.ProcessEnv => {
  const values: { readonly [name: string]: string | number | null } = {
    ALARM: change.alarm,
    STATE: change.state,
    DEVICE: change.device,
    TARGET: change.target,
    FIELD: change.field,
    VALUE: change.value,
    UNIT: change.unit,
    THRESHOLD: change.threshold,
    AT: formatTimestamp(change.at),
    SINCE: formatTimestamp(change.since),
    RUN: change.runId,
    COUNT: change.count,
    LEFT_OUT: leftOut,
    MESSAGE: change.message
  }
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`SAMPLELINE_${name}`, String(value ?? "").replaceAll("\0", "")])
  )
}

/** Runs the command once, and logs its output and how it failed. */
const runOnce = Effect.fnUntraced(
  function*(command: Command, environment: NodeJS.ProcessEnv, timeout: Duration.Duration) {
    const name = `the alarm command ${path.basename(command[0])}`
    const output = new Output()
    const failure = yield* Effect.acquireUseRelease(
      begin(command, environment, output),
      ({ ended }) => Effect.timeoutOption(Deferred.await(ended), timeout),
      ({ kill }) => Effect.sync(kill)
    ).pipe(
      Effect.map(Option.getOrElse(() => `was killed, because it took longer than ${Duration.format(timeout)}`)),
      Effect.onInterrupt(() => Effect.logWarning(`${name} was killed, because the recording ended`))
    )
    for (const line of output.lines) yield* Effect.logInfo(`${name}: ${line}`)
    if (output.leftOut > 0) yield* Effect.logInfo(`${name}: and ${output.leftOut} more lines`)
    if (failure !== null) yield* Effect.logWarning(`${name} ${failure}`)
  }
)

interface Begun {
  /** How the program failed; null if it did not. */
  readonly ended: Deferred.Deferred<string | null>
  /** Kills what is left of its process group. */
  readonly kill: () => void
}

const begin = (
  [program, ...args]: Command,
  environment: NodeJS.ProcessEnv,
  output: Output
): Effect.Effect<Begun> =>
  Effect.map(Deferred.make<string | null>(), (ended) => {
    const end = (failure: string | null) => Deferred.doneUnsafe(ended, Effect.succeed(failure))
    const cannotStart = (error: unknown) => end(`could not be started: ${messageOf(error)}`)
    let child: ChildProcess
    try {
      child = spawn(program, args, {
        env: { ...process.env, ...environment },
        stdio: ["ignore", "pipe", "pipe"],
        // A process group of its own, and no terminal.
        detached: true,
        windowsHide: true
      })
    } catch (error) {
      cannotStart(error)
      return { ended, kill: () => {} }
    }
    // Also when a second Ctrl-C ends this process at once.
    const onExit = () => killGroup(child)
    process.on("exit", onExit)
    child.on("error", cannotStart)
    child.on("close", (code, signal) =>
      end(code === 0 ? null : signal === null ? `failed with exit code ${code}` : `was ended by ${signal}`))
    output.read(child.stdout!)
    output.read(child.stderr!)
    return {
      ended,
      kill: () => {
        process.off("exit", onExit)
        killGroup(child)
      }
    }
  })

const killGroup = (child: ChildProcess): void => {
  if (child.pid === undefined) return
  try {
    if (process.platform === "win32") child.kill("SIGKILL")
    else process.kill(-child.pid, "SIGKILL")
  } catch {
    // Nothing is left of it.
  }
}

const MOST_LINES = 20
const LONGEST_LINE = 500

/** What a program prints, as lines without control characters. The first ones are kept. */
class Output {
  readonly lines: Array<string> = []
  leftOut = 0

  read(stream: Readable): void {
    let rest = ""
    stream.setEncoding("utf8")
    stream.on("error", () => {})
    stream.on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop()!.slice(0, LONGEST_LINE)
      for (const line of lines) this.add(line)
    })
    stream.on("end", () => this.add(rest))
  }

  private add(line: string): void {
    const text = stripVTControlCharacters(line.slice(0, LONGEST_LINE)).replaceAll(/\p{Cc}/gu, " ").trim()
    if (text === "") return
    if (this.lines.length < MOST_LINES) this.lines.push(text)
    else this.leftOut++
  }
}
