import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { parseDevices } from "../src/deviceFlag.ts"
import { sampleline, tempFolder } from "./process.ts"
import { expectRefused, type Refusal } from "./refusals.ts"

const device = "--device fuel=/dev/no-such-tty"

const REFUSALS: ReadonlyArray<Refusal> = [
  { args: "--device fuel --out b.csv", code: 2, line: "the port is missing; write NAME=PORT" },
  { args: "--device fuel=exists.csv --out b.csv", code: 1, line: "it is no serial port" },
  { args: "--device =/dev/ttyUSB0 --out b.csv", code: 2, line: "the name is missing; write NAME=PORT" },
  {
    args: "--device /dev/ttyUSB0 --out b.csv",
    code: 2,
    line: "--device /dev/ttyUSB0: the name is missing; write fuel=/dev/ttyUSB0"
  },
  {
    args: "--device COM3,unit=B --out b.csv",
    code: 2,
    line: "--device COM3,unit=B: the name is missing; write fuel=COM3,unit=B"
  },
  { args: "--device tcp://h:4001 --out b.csv", code: 2, line: "the name is missing; write fuel=tcp://h:4001" },
  { args: "--device 10.0.0.2:4001 --out b.csv", code: 2, line: "the name is missing" },
  {
    args: "--device fuel=127.0.0.1:4001 --out b.csv",
    code: 2,
    line: "fuel.port is \"127.0.0.1:4001\": expected tcp:// in front of a network address: tcp://127.0.0.1:4001"
  },
  { args: "--device fuel=[::1]:4001 --out b.csv", code: 2, line: "expected tcp:// in front of a network address" },
  { args: "--device fuel=moxa.local:4001 --out b.csv", code: 2, line: "tcp://moxa.local:4001" },
  { args: "--device fuel=socket://h:4001 --out b.csv", code: 2, line: "expected an address such as tcp://" },
  { args: "--device fuel= --out b.csv", code: 2, line: "the port is missing" },
  { args: `${device},unit=AB --out b.csv`, code: 2, line: "expected a unit id, one letter from A to Z" },
  { args: `${device},speed=9600 --out b.csv`, code: 2, line: "unknown setting \"speed\"" },
  { args: `${device},baud=fast --out b.csv`, code: 2, line: "the baud rate \"fast\" is not a whole number" },
  { args: `${device},unit=A,Flow:SCCM --out b.csv`, code: 2, line: "unknown setting \"Flow:SCCM\"" },
  {
    args: `${device},columns= --out b.csv`,
    code: 2,
    line: "fuel.columns is \"\": expected NAME, NAME:UNIT or NAME:text"
  },
  {
    args: `${device},columns=unit=A --out b.csv`,
    code: 2,
    line: "fuel.columns is \"unit=A\": expected NAME, NAME:UNIT"
  },
  { args: `${device},columns=Flow=SCCM --out b.csv`, code: 2, line: "fuel.columns is \"Flow=SCCM\": expected NAME" },
  {
    args: `${device},columns=[Temp:C,Flow:text] --out b.csv`,
    code: 2,
    line: "fuel.columns is \"[Temp:C\": expected NAME"
  },
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

  it.effect("refuses 100,000 characters at once", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      for (
        const text of [
          "a",
          "/",
          "a://",
          "x=",
          "fuel=tcp:////",
          "fuel=/dev/no-such-tty,columns= ",
          "fuel=/dev/no-such-tty,columns=a:"
        ]
      ) {
        const long = text + text.at(-1)!.repeat(100_000)
        const { code, stderr } = yield* sampleline(["record", "--device", long, "--out", "b.csv"], { cwd }).pipe(
          Effect.timeout("4 seconds")
        )
        assert.notStrictEqual(code, 0)
        assert.match(stderr, /^sampleline: (?!internal error)/)
      }
    }))

  it.effect("may be named like a port", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* parseDevices(["COM3=COM3"]), { COM3: { port: "COM3" } })
    }))

  it.effect("gives the columns of a device that does not declare them", () =>
    Effect.gen(function*() {
      const columns = ["Temp:°C", "Flow:SCCM", "Gas:text"]
      for (
        const settings of ["unit=B,columns=Temp:°C,Flow:SCCM,Gas:text", "columns=Temp:°C, Flow:SCCM ,Gas:text,unit=B"]
      ) {
        const devices = yield* parseDevices([`fuel=/dev/ttyUSB0,${settings}`])
        assert.deepStrictEqual(devices, { fuel: { port: "/dev/ttyUSB0", unit: "B", columns } }, settings)
      }
    }))

  it.effect("names a device, its port, its unit id and its baud rate", () =>
    Effect.gen(function*() {
      const devices = yield* parseDevices(["fuel=/dev/ttyUSB0", "air = tcp://10.0.0.2:4001, unit=B, baud=9600"])
      assert.deepStrictEqual(devices, {
        fuel: { port: "/dev/ttyUSB0" },
        air: { port: "tcp://10.0.0.2:4001", unit: "B", baud: 9600 }
      })
    }))
})
