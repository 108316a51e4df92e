import type { PollSource } from "@sampleline/core"
import { Effect } from "effect"
import * as net from "node:net"
import { openPty } from "../src/Pty.ts"
import type { SimulatedPort } from "../src/Simulator.ts"
import { encodeCommand, LineSplitter } from "../src/wire/Framing.ts"

/** A real pty behind which a script answers each command; null is silence. */
export const scriptedPort = (
  answer: (command: string) => string | null,
  respond: (command: string, write: (reply: string) => void, reply: string) => void = (_, write, reply) => write(reply)
) =>
  Effect.gen(function*() {
    const splitter = new LineSplitter()
    const commands: Array<string> = []
    const write = (text: string) => pty.write(encodeCommand(text))
    const pty = yield* openPty((chunk) => {
      for (const line of splitter.push(chunk)) {
        const command = String.fromCharCode(...line)
        commands.push(command)
        const reply = answer(command)
        if (reply !== null) respond(command, write, reply)
      }
    })
    return { path: pty.path, commands, write }
  })

/** Polls until this is so. */
export const pollUntil = Effect.fnUntraced(function*(
  source: PollSource["Service"],
  isSo: (reasons: ReadonlyArray<string>) => boolean
) {
  while (true) {
    const { failures, readings } = yield* source.poll(source.devices.map(({ name }) => name))
    if (isSo(failures.map(({ device, error }) => `${device} ${error.reason}`))) return readings
    yield* Effect.sleep("20 millis")
  }
})

/** Makes a device on TCP stream, as a program that dies leaves it. */
export const leaveStreaming = ({ port, unit }: SimulatedPort) =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(Number(new URL(port).port), "127.0.0.1", () => socket.write(`${unit}@ @\r`))
    socket.once("data", () => {
      socket.destroy()
      resume(Effect.void)
    })
  })
