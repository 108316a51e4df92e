import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { parseDevices } from "../src/deviceFlag.ts"
import { expectRefused, type Refusal } from "./refusals.ts"

const device = "--device fuel=/dev/no-such-tty"

const REFUSALS: ReadonlyArray<Refusal> = [
  { args: "--device fuel --out b.csv", code: 2, line: "the port is missing; write NAME=PORT" },
  { args: "--device fuel=exists.csv --out b.csv", code: 1, line: "it is no serial port" },
  { args: "--device =/dev/ttyUSB0 --out b.csv", code: 2, line: "the name is missing; write NAME=PORT" },
  { args: "--device fuel= --out b.csv", code: 2, line: "the port is missing" },
  { args: `${device},unit=AB --out b.csv`, code: 2, line: "expected a unit id, one letter from A to Z" },
  { args: `${device},speed=9600 --out b.csv`, code: 2, line: "unknown setting \"speed\"" },
  { args: `${device},baud=fast --out b.csv`, code: 2, line: "the baud rate \"fast\" is not a whole number" },
  { args: `${device} ${device} --out b.csv`, code: 2, line: "two devices are named fuel" },
  {
    args: `${device} --device air=/dev/no-such-tty --out b.csv`,
    code: 2,
    line: "fuel is unit A on /dev/no-such-tty already"
  },
  { args: `${device} --out b.csv`, code: 1, line: "cannot open /dev/no-such-tty: no such port" }
]

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("--device", (it) => {
  it.effect.each(REFUSALS)("$args is refused in one line, before any file is touched", expectRefused)

  it.effect("names a device, its port, its unit id and its baud rate", () =>
    Effect.gen(function*() {
      const devices = yield* parseDevices(["fuel=/dev/ttyUSB0", "air = tcp://10.0.0.2:4001, unit=B, baud=9600"])
      assert.deepStrictEqual(devices, {
        fuel: { port: "/dev/ttyUSB0" },
        air: { port: "tcp://10.0.0.2:4001", unit: "B", baud: 9600 }
      })
    }))
})
