/**
 * The command line: parse it, run the command, end the process with an exit code. A failure is one line on stderr.
 *
 * Exit codes: 0 done; 1 a failure; 2 wrong usage; 130, 143, 129 ended by SIGINT, SIGTERM, SIGHUP.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { InvalidOptionError, messageOf } from "@sampleline/core"
import * as Cause from "effect/Cause"
import { CliConfig, CliError, CliOutput, Command, GlobalFlag } from "effect/cli"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { checkCommand } from "./check.ts"
import { discoverCommand } from "./discover.ts"
import { Ended, UsageError } from "./errors.ts"
import { helpText } from "./help.ts"
import { markCommand } from "./mark.ts"
import { recordCommand } from "./record.ts"
import { resumeCommand } from "./resume.ts"
import { withoutSecrets } from "./secrets.ts"
import { simulateCommand } from "./simulate.ts"
import { statusCommand } from "./status.ts"
import { stopCommand } from "./stop.ts"
import {
  clearStatus,
  clearTerminal,
  complain,
  ignoreBrokenStreams,
  leaveTerminals,
  resultsLost,
  say,
  stderrLogger
} from "./terminal.ts"
import { viewCommand } from "./view.ts"
import { withViewPort } from "./viewAddress.ts"
import { watchCommand } from "./watch.ts"

const sampleline = Command.make("sampleline").pipe(
  Command.withDescription("Record lab instruments into files and databases."),
  Command.withSubcommands([
    recordCommand,
    watchCommand,
    viewCommand,
    resumeCommand,
    statusCommand,
    markCommand,
    stopCommand,
    checkCommand,
    discoverCommand,
    simulateCommand
  ])
)

/** Runs the command line and ends the process. */
export const main = (args: ReadonlyArray<string>, version: string): void => {
  ignoreBrokenStreams()
  process.on("exit", leaveTerminals)
  process.on("uncaughtExceptionMonitor", clearTerminal)
  const program = Command.runWith(sampleline, { version })(withViewPort(args)).pipe(
    Effect.provide(Layer.mergeAll(
      NodeServices.layer,
      stderrLogger,
      CliOutput.layerPresenter(presenter),
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] })
    ))
  )
  Effect.runFork(program).addObserver((exit) => leave(exitCodeOf(exit)))
}

/** Help goes to stdout. Wrong usage is one line on stderr. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    switch (event._tag) {
      case "Help":
        return Console.log(helpText(event.helpDoc, process.stdout.columns || 80))
      case "InvalidInvocation": {
        const problems = event.errors.map((error) => withoutSecrets(messageOf(error))).join("; ")
        return Effect.sync(() => say(`sampleline: ${problems}; see \`${event.commandPath.join(" ")} --help\``))
      }
      case "Version":
        return CliOutput.defaultPresenter.present(event)
    }
  }
}

const exitCodeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const error = Cause.squash(exit.cause)
  if (error instanceof Ended) return error.exitCode
  if (CliError.isCliError(error)) return error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : 2
  complain(error)
  return error instanceof UsageError || error instanceof InvalidOptionError ? 2 : 1
}

/** How long the process waits for a reader of its output before it ends. */
const DRAIN_MS = 1000

const leave = (code: number): void => {
  process.exitCode = code
  clearStatus()
  const waiting = () =>
    [process.stdout, process.stderr].filter((stream) => !stream.destroyed && stream.writableLength > 0)
  // The error of a write comes a moment after it.
  if (waiting().length === 0) setImmediate(() => finish(code))
  else setTimeout(() => finish(code), DRAIN_MS)
  for (const stream of waiting()) {
    for (const event of ["drain", "close"] as const) {
      stream.once(event, () => {
        if (waiting().length === 0) finish(code)
      })
    }
  }
}

const finish = (code: number): never => {
  const lost = resultsLost()
  if (lost !== undefined) say(`sampleline: the results could not be written to standard output: ${lost.message}`)
  process.exit(code === 0 && lost !== undefined ? 1 : code)
}
