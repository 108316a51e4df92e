import { assert, describe, it } from "@effect/vitest"
import { SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { toLoadError } from "../../src/transport/loadError.ts"

describe("a package that cannot be loaded", () => {
  const load = (cause: unknown) =>
    toLoadError(cause, { target: "/dev/ttyUSB0", needed: "the serial port /dev/ttyUSB0", missing: "serialport" })
  const withCode = (code: string, message: string) => Object.assign(new Error(message), { code })

  it("is not installed if it is missing", async () => {
    const name = ["no", "such", "package"].join("-")
    const missing: unknown = await import(name).catch((cause: unknown) => cause)
    for (
      const cause of [
        missing,
        withCode("ERR_MODULE_NOT_FOUND", "Cannot find package 'serialport'"),
        withCode("MODULE_NOT_FOUND", "Cannot find module 'serialport'"),
        new Error("no binary for this machine", { cause: withCode("MODULE_NOT_FOUND", "Cannot find module") })
      ]
    ) {
      const error = load(cause)
      assert.instanceOf(error, SourceDependencyError)
      assert.include(error.message, "is not installed: run `npm install serialport`")
    }
  })

  it("is told with the system's own reason otherwise", () => {
    for (
      const cause of [
        withCode("EMFILE", "EMFILE: too many open files, open 'serialport/package.json'"),
        withCode("ERR_DLOPEN_FAILED", "bindings.node: cannot open shared object file"),
        new Error("No native build was found for platform=linux")
      ]
    ) {
      const error = load(cause)
      assert.instanceOf(error, SourceOpenError)
      assert.strictEqual(
        error.message,
        `cannot open /dev/ttyUSB0: the package serialport cannot be loaded: ${cause.message}`
      )
    }
  })
})
