/**
 * Ten simulated devices in a process of their own.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as readline from "node:readline"
import { fileURLToPath } from "node:url"

export type Transport = "tty" | "tcp"

/** A device, and where it is. */
export interface SimulatedDevice {
  readonly name: string
  readonly unit: string
  readonly port: string
}

export const DEVICES = 10

/** The command, as it is installed. */
export const COMMAND = fileURLToPath(new URL("../../cli/bin.js", import.meta.url))

/** The flags of Node that its first line asks for. */
export const COMMAND_FLAGS = /^#!.* node (.*)$/m.exec(fs.readFileSync(COMMAND, "utf8"))![1]!.split(" ")

/** Starts the devices. The scope ends their process. */
export const simulate = Effect.fnUntraced(function*(transport: Transport) {
  const args = [COMMAND, "simulate", "--devices", String(DEVICES), ...(transport === "tcp" ? ["--tcp", "0"] : [])]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] })),
    (child) => Effect.sync(() => child.kill())
  )
  return yield* Effect.callback<ReadonlyArray<SimulatedDevice>>((resume) => {
    const devices: Array<SimulatedDevice> = []
    readline.createInterface(child.stdout).on("line", (line) => {
      const [name = "", unit = "", port = ""] = line.split(" ")
      devices.push({ name, unit, port })
      if (devices.length === DEVICES) resume(Effect.succeed(devices))
    })
    child.on("close", (code) => resume(Effect.die(new Error(`the simulator ended with exit code ${code}`))))
  })
})
