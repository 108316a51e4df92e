import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"

import { encodeCommand, isRejection, LineSplitter, MAX_LINE_BYTES } from "../../src/wire/Framing.ts"
import { bytes } from "./frames.ts"

describe("framing", () => {
  const reply = bytes("A +014.62 +021.89 +000.00 +000.00 +078.95     N2 MOV\r\rB ?\r?\rA D00 rest")

  it("ends a command with one CR", () => {
    assert.deepStrictEqual(encodeCommand("A??D*"), Buffer.from([0x41, 0x3f, 0x3f, 0x44, 0x2a, 0x0d]))
  })

  it("distinguishes rejections from replies", () => {
    for (const text of ["?", " ?", "A ?", "Z  ? "]) assert.isTrue(isRejection(text), text)
    for (const text of ["", "A", "A ? x", "AA ?", "A??D*"]) assert.isFalse(isRejection(text), text)
  })

  it("deletes padding", () => {
    assert.deepStrictEqual(new LineSplitter().push(bytes("\bA \b\b12\b\r")), [bytes("A 12")])
  })

  it("deletes noise before a line, and what servers send beside a CR", () => {
    const split = (text: string) =>
      new LineSplitter().push(bytes(text)).map((line) => Buffer.from(line).toString("latin1"))
    const reply = "A +014.62 +021.89"
    for (
      const noisy of [
        `${reply}\r\n`,
        `${reply}\r\0`,
        `\0${reply}\r`,
        `\n\0${reply}\n\r`,
        `\xff${reply}\r`,
        `\xff\xfe\0\x7f\x80${reply}\0\r`,
        `\xff\xfb\x01${reply}\r`
      ]
    ) assert.deepStrictEqual(split(noisy), [reply], JSON.stringify(noisy))
    assert.deepStrictEqual(split("\n  +014.62\r\n@ +014.62\r\0 +014.62\r"), ["  +014.62", "@ +014.62", " +014.62"])
  })

  it("keeps noise within a line, and noise that may stand for a unit id", () => {
    for (const text of ["A +01\x004.62", "A +01\xff.62 N2\xff", "\xff +014.62"]) {
      assert.deepStrictEqual(new LineSplitter().push(bytes(`${text}\r`)), [bytes(text)])
    }
  })

  it("drops empty lines", () => {
    assert.deepStrictEqual(new LineSplitter().push(bytes("\r\r\r\n\r\0\r\xff\r\b\rA\r\r")), [bytes("A")])
  })

  it("limits the length of a line that never ends", () => {
    const splitter = new LineSplitter()
    const chunk = new Uint8Array(10_000).fill(0x58)
    const cut = splitter.push(chunk)
    assert.strictEqual(cut.length, Math.floor(10_000 / MAX_LINE_BYTES))
    assert.isTrue(cut.every((line) => line.length === MAX_LINE_BYTES))
  })

  it.prop("gives the same lines wherever the chunks are cut", [
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: reply.length })))
  ], ([cuts]) => {
    const splitter = new LineSplitter()
    const edges = [0, ...cuts.toSorted((a, b) => a - b), reply.length]
    const pieces = edges.slice(1).flatMap((end, at) => splitter.push(reply.subarray(edges[at], end)))
    assert.deepStrictEqual(pieces, new LineSplitter().push(reply))
  })

  it("has an incomplete line only if it is more than noise", () => {
    const splitter = new LineSplitter()
    splitter.push(Buffer.from("HELLO\r\n"))
    assert.isNull(splitter.incomplete)
    splitter.push(Buffer.from("A +0"))
    assert.deepStrictEqual(splitter.incomplete, Uint8Array.from(Buffer.from("A +0")))
  })
})
