import { assert, describe, it } from "@effect/vitest"

import { InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Simulator from "../src/simulator/Simulator.ts"
import { openError } from "./ports.ts"

describe("Alicat.make refuses", () => {
  it.live("a unit that is given twice on TCP, even under another name of the host", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ tcp: 0 })
      const error = yield* openError({ fuel: fuel!, again: { port: fuel!.port.replace("127.0.0.1", "LOCALHOST") } })
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, "fuel is unit A on tcp://127.0.0.1")
    }))

  it.live("a unit that is given twice on a port, even under another name of the port", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const link = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "port-")), "fuel")
      fs.symlinkSync(fuel!.port, link)
      const error = yield* openError({ fuel: fuel!, again: { port: link } })
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, `fuel is unit A on ${fuel!.port} already`)
    }))

  it.effect.each(
    [
      [{ "": { port: "/dev/ttyUSB0" } }, "a name for each device"],
      [{}, "at least one device"],
      [{ fuel: { port: "" } }, "fuel.port"],
      [
        { fuel: { port: "/dev/ttyUSB0", unit: "AB" } },
        "fuel.unit is \"AB\": expected a unit id, one letter from A to Z"
      ],
      [{ fuel: { port: "/dev/ttyUSB0", unit: "1" } }, "fuel.unit"],
      [{ fuel: { port: "/dev/ttyUSB0", baud: 0 } }, "fuel.baud is 0"],
      [{ fuel: { port: "/dev/ttyUSB0", columns: [] } }, "fuel.columns is []: expected at least one column"],
      [
        { fuel: { port: "/dev/ttyUSB0", columns: ["Flow:SCCM", ""] } },
        "fuel.columns is \"\": expected NAME, NAME:UNIT or NAME:text, such as Flow:SCCM"
      ],
      [{ fuel: { port: "/dev/ttyUSB0", columns: [":SCCM"] } }, "fuel.columns is \":SCCM\""],
      [{ fuel: { port: "/dev/ttyUSB0", columns: ["Flow:"] } }, "fuel.columns is \"Flow:\""],
      [{ fuel: { port: "tcp://lab" } }, "fuel.port is \"tcp://lab\": expected an address such as tcp://192"],
      [{ fuel: { port: "tcp://lab:4001/x" } }, "fuel.port"],
      [{ fuel: { port: "tcp://me:s3cret@lab:4001" } }, "fuel.port is \"tcp://lab:4001\""],
      [{ fuel: { port: "tcp://127.0.0.1:1", baud: 9600 } }, "fuel.baud is 9600: expected none for TCP"],
      [{ fuel: { port: "/dev/ttyUSB0", baud: 9600 }, air: { port: "/dev/ttyUSB0", unit: "B" } }, "air.baud"]
    ] as const
  )("%o", ([devices, message]) =>
    Effect.gen(function*() {
      const error = yield* openError(devices)
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, message)
    }))
})
