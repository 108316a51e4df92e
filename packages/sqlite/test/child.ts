import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"

/** Runs the text of a module in a process of its own. Ready when the process prints its first line; the scope kills it. */
export const startChild = (program: string) =>
  Effect.acquireRelease(
    Effect.callback<ChildProcess>((resume) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      child.stdin.on("error", () => {})
      child.stdout.once("data", () => resume(Effect.succeed(child)))
      child.once("exit", (code) => resume(Effect.die(new Error(`the child ended with ${code}`))))
    }),
    killChild
  )

/** SIGKILL; done when the process is gone. */
export const killChild = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
