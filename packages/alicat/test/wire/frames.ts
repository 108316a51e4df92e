import { assert } from "@effect/vitest"
import { Result } from "effect"
import { decodeFrameTable, type FrameLayout } from "../../src/wire/FrameTable.ts"
import { decodePollLine } from "../../src/wire/PollLine.ts"
import { MalformedReply, quoteBytes } from "../../src/wire/WireError.ts"

export const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"))
export const lines = (text: string) => text.split("\n").map((line) => bytes(line))

export const TABLE = lines(`A D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________
A D01 700 Unit ID                    string          1
A D02 002 Abs Press                  s decimal     7/2 010 02 PSIA
A D03 003 Flow Temp                  s decimal     7/2 002 02 \`C
A D04 004 Volu Flow                  s decimal     7/2 012 02 CCM
A D05 005 Mass Flow                  s decimal     7/2 012 02 SCCM
A D06 037 Mass Flow Setpt            s decimal     7/2 012 02 SCCM
A D07 703 Gas                        string          6
A D08 701 *Error                     string          3 ADC
A D09 702 *Status                    string          3 OPL
`)

export const LEGACY = lines(`A  D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__
A  D01 Unit ID     char         A         Z         na
A  D02 Pressure    signed    +000.00  +160.00     PSIA
A  D03 Flow Temp   signed    -010.00  +060.00        C
A  D05 Mass        signed    +0000.0  +0500.0     SCCM
A  D07 Gas         string        Air       D2       na
A  D08 Error       string         na      ADC       na
A  D09 Status      string         na      LCK       na
`)

export const layout = Result.getOrThrow(decodeFrameTable(TABLE, "A"))

/** The frame of a meter: no setpoint column. */
export const meter = Result.getOrThrow(
  decodeFrameTable(TABLE.filter((line) => !quoteBytes(line).includes("Setpt")), "A")
)

/** A frame with conditional columns, of a number and of a text. */
export const conditional = Result.getOrThrow(decodeFrameTable(
  [
    ...TABLE,
    bytes("A D10 100 *Totalizer                 s decimal     9/1 008 02 SCC"),
    bytes("A D11 101 *Batch                     string          8")
  ],
  "A"
))

export const decode = (text: string, using: FrameLayout = layout) => decodePollLine(bytes(text), "A", using)

export const frameOf = (text: string, using?: FrameLayout) => {
  const { status, values } = Result.getOrThrow(decode(text, using))
  return { values, status }
}

export const malformed = (result: Result.Result<unknown, MalformedReply>): string => {
  assert.isTrue(Result.isFailure(result))
  const error = Result.isFailure(result) ? result.failure : undefined
  assert.instanceOf(error, MalformedReply)
  return error?.message ?? ""
}

/** The frame of the legacy dialect. */
export const legacy = Result.getOrThrow(decodeFrameTable(LEGACY, "A"))
