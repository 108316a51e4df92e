import { Deferred, Effect, FileSystem } from "effect"
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process"
import { fileURLToPath } from "node:url"

/** The command's own entry point. */
export const BIN = fileURLToPath(new URL("../bin.js", import.meta.url))

interface Running {
  readonly process: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Returns when the text has appeared in what the process printed; dies when the process ends without it. */
  readonly printed: (text: string) => Effect.Effect<void>
  /** The exit code; 128 + n for a signal that ended the process would be null. */
  readonly exit: Effect.Effect<number | null>
}

/** A folder of its own, which goes with the test. */
export const tempFolder = Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())

/** Starts a program; it is killed with the scope. */
export const start = Effect.fnUntraced(function*(
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly stdio?: StdioOptions; readonly env?: NodeJS.ProcessEnv }
) {
  const exited = yield* Deferred.make<number | null>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const text = { stdout: "", stderr: "" }
  const listeners = new Set<() => void>()
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      text[name] += chunk.toString()
      for (const listener of listeners) listener()
    })
  }
  child.on("close", (code) => {
    Deferred.doneUnsafe(exited, Effect.succeed(code))
    for (const listener of listeners) listener()
  })
  const printed = (wanted: string) =>
    Effect.callback<void>((resume) => {
      const look = () => {
        if (text.stdout.includes(wanted) || text.stderr.includes(wanted)) resume(Effect.void)
        else if (child.exitCode !== null || child.signalCode !== null) {
          resume(Effect.die(new Error(`it ended without printing "${wanted}":\n${text.stdout}\n${text.stderr}`)))
        }
      }
      listeners.add(look)
      look()
      return Effect.sync(() => listeners.delete(look))
    })
  return {
    process: child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    printed,
    exit: Deferred.await(exited)
  } satisfies Running
})

/** Starts the command line. */
export const startSampleline = (args: ReadonlyArray<string>, options: Parameters<typeof start>[2]) =>
  start(process.execPath, [BIN, ...args], options)

/** Runs a program to its end. */
export const run = Effect.fnUntraced(
  function*(command: string, args: ReadonlyArray<string>, options: Parameters<typeof start>[2]) {
    const running = yield* start(command, args, options)
    const code = yield* running.exit
    return { code, stdout: running.stdout(), stderr: running.stderr() }
  },
  Effect.scoped
)

/** Runs the command line to its end. */
export const sampleline = (args: ReadonlyArray<string>, options: Parameters<typeof start>[2]) =>
  run(process.execPath, [BIN, ...args], options)
