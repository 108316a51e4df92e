import { Effect } from "effect"
import { spawn } from "node:child_process"

/**
 * Runs a program in a process of its own, and gives what it prints on stdout: compiled code and memory of one case must not affect
 * the next. What it prints on stderr is shown.
 */
export const runApart = (program: string, args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] })
    let text = ""
    child.stdout.on("data", (chunk: Buffer) => text += chunk.toString())
    child.on("close", (code) =>
      resume(
        code === 0
          ? Effect.succeed(text)
          : Effect.die(new Error(`${program} ${args.join(" ")} ended with exit code ${code}`))
      ))
    return Effect.sync(() => child.kill())
  })
