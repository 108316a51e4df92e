/**
 * The language of alarms.
 *
 *     fuel.Mass_Flow < 90                      a value; < <= > >= == !=
 *     fuel.Mass_Flow < 90 SCCM for 5s          with its unit, which is checked; true for 5 seconds
 *     *.Pressure > 30 clear 28                 of any device; cleared when no value is above 28 any more
 *     fuel.status has MOV                      a status code
 *     fuel is silent for 10s                   no reading; `*` is any device
 *     disk < 1GB                               room on a disk that is written to
 *     output is behind 1min                    any output; `run.csv is behind 10000` is one, in samples and events
 *
 * `for` and `clear` may stand behind each condition of a value and of the disk, and `for` behind all. Names with spaces or dots stand
 * in double quotes, with `\` in front of a quote. This module is pure.
 */
import { nearestName, parseBytes, parseDuration } from "@sampleline/core"
import { Duration, Option, Result, Schema } from "effect"

/**
 * @since 0.1.0
 * @category models
 */
export type AlarmOperator = "<" | "<=" | ">" | ">=" | "==" | "!="

/** How long the condition must hold, in milliseconds; 0: it is raised at once. */
interface Held {
  readonly forMillis: number
}

/**
 * When an alarm is raised. A device or an output that is null is any one, each on its own.
 *
 * @since 0.1.0
 * @category models
 */
export type AlarmCondition =
  | Held & {
    readonly _tag: "Value"
    readonly device: string | null
    readonly field: string
    readonly operator: AlarmOperator
    readonly threshold: number
    /** Null: whatever unit the field has. */
    readonly unit: string | null
    /** The threshold of an alarm that is raised; null: the same. */
    readonly clear: number | null
  }
  | Held & { readonly _tag: "Status"; readonly device: string | null; readonly code: string }
  | Held & { readonly _tag: "Silent"; readonly device: string | null }
  | Held & {
    readonly _tag: "Disk"
    readonly operator: "<" | "<="
    /** In bytes. */
    readonly threshold: number
    /** In bytes; null: the same. */
    readonly clear: number | null
  }
  | Held & {
    readonly _tag: "Behind"
    readonly output: string | null
    /** How old the oldest item is that the output lacks. This or `items` is not null. */
    readonly millis: number | null
    /** Samples and events. */
    readonly items: number | null
  }

/**
 * One alarm: its condition, and where in its text the names stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface AlarmExpression {
  /** As it was written. */
  readonly text: string
  readonly condition: AlarmCondition
  readonly places: AlarmPlaces
}

/** Positions in the text, from 0, of what can be checked against devices and outputs. */
interface AlarmPlaces {
  /** Of the device or output. */
  readonly name: number
  readonly field: number
  readonly unit: number
}

/**
 * An alarm that cannot be understood, or that does not fit the devices and outputs.
 *
 * @since 0.1.0
 * @category errors
 */
export class AlarmExpressionError extends Schema.TaggedError<AlarmExpressionError>()("AlarmExpressionError", {
  text: Schema.String,
  /** Where, from 0; the length of the text if something is missing at its end. */
  position: Schema.Int,
  /** In one line. */
  problem: Schema.String
}) {
  /** The text, and under it a caret that shows the position. */
  get place(): string {
    const shown = this.text.replaceAll(/\p{Cc}/gu, " ")
    // Beyond Latin, Greek and Cyrillic a character may take two columns.
    const indent = Array.from(shown.slice(0, this.position), (character) => character > "\u10ff" ? "  " : " ").join("")
    return `  ${shown}\n  ${indent}^`
  }

  override get message() {
    return `${this.problem}\n${this.place}`
  }
}

/**
 * The alarm that a text describes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parse = (text: string): Result.Result<AlarmExpression, AlarmExpressionError> =>
  Result.try({
    try: () => new Parser(text).alarm(),
    catch: (error) => {
      if (error instanceof AlarmExpressionError) return error
      throw error
    }
  })

/**
 * The alarm as a text. `parse` gives the same condition for it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const print = ({ condition }: Pick<AlarmExpression, "condition">): string => {
  const { forMillis } = condition
  const hold = forMillis === 0 ? "" : ` for ${printDuration(forMillis)}`
  switch (condition._tag) {
    case "Value": {
      const { clear, device, field, operator, threshold, unit } = condition
      const of = unit === null ? "" : ` ${isBareUnit(unit) ? unit : quoted(unit)}`
      const until = clear === null ? "" : ` clear ${clear}`
      return `${nameOf(device)}.${named(field)} ${operator} ${threshold}${of}${hold}${until}`
    }
    case "Status":
      return `${nameOf(condition.device)}.status has ${named(condition.code)}${hold}`
    case "Silent":
      return `${nameOf(condition.device)} is silent${hold}`
    case "Disk": {
      const until = condition.clear === null ? "" : ` clear ${printBytes(condition.clear)}`
      return `disk ${condition.operator} ${printBytes(condition.threshold)}${hold}${until}`
    }
    case "Behind": {
      const { items, millis, output } = condition
      const name = output === null ? "output" : isBareOutput(output) ? output : quoted(output)
      return `${name} is behind ${millis === null ? items : printDuration(millis)}${hold}`
    }
  }
}

const BARE_NAME = /^[^\s"<>=!.]+$/u
const BARE_UNIT = /^[^\s"<>=!.\d][^\s"<>=!]*$/u

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, "\\$&")}"`
const named = (name: string): string => BARE_NAME.test(name) && name !== "*" ? name : quoted(name)
const nameOf = (device: string | null): string => device === null ? "*" : named(device)
const isBareOutput = (output: string): boolean =>
  output.split(".").every((part) => BARE_NAME.test(part)) && output !== "output" && output !== "*"
const isBareUnit = (unit: string): boolean => BARE_UNIT.test(unit) && unit !== "for" && unit !== "clear"

const printDuration = (millis: number): string => {
  const [unit, size] = ([["h", 3_600_000], ["min", 60_000], ["s", 1000], ["ms", 1]] as const)
    .find(([, size]) => millis % size === 0)!
  return `${millis / size}${unit}`
}

const printBytes = (bytes: number): string => {
  const [unit, size] = ([["TB", 1e12], ["GB", 1e9], ["MB", 1e6]] as const).find(([, size]) => bytes % size === 0)
    ?? ["KB", 1e3]
  return `${bytes / size}${unit}`
}

/** A name, or a word of the language. */
interface Word {
  readonly text: string
  readonly at: number
  readonly isQuoted: boolean
}

const OPERATORS = ["<=", ">=", "==", "!=", "<", ">"] as const
const EXAMPLE = "an alarm such as `fuel.Mass_Flow < 90 for 5s`"
const COMPARISON = "a comparison, `is` or `has`"

/** Reads a text from left to right. Throws `AlarmExpressionError`. */
class Parser {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  alarm(): AlarmExpression {
    this.skipSpace()
    if (this.at === this.text.length) this.refuse(`expected ${EXAMPLE}`, 0)
    const name = this.name()
    const [first, second] = name as [Word, Word?]
    const operator = this.operator()
    if (operator !== undefined) {
      return isWord(first, "disk") && second === undefined
        ? this.disk(operator, first)
        : this.value(...this.field(name, "a field, such as .Mass_Flow"), operator)
    }
    const verb = this.word(COMPARISON)
    if (isWord(verb, "has")) return this.status(name)
    if (!isWord(verb, "is")) this.refuseWord(verb, COMPARISON, ["is", "has"])
    const state = this.word("`silent` or `behind`")
    if (isWord(state, "silent")) return this.silent(name)
    if (isWord(state, "behind")) return this.behind(name)
    return this.refuseWord(state, "`silent` or `behind`", ["silent", "behind"])
  }

  private value(device: Word, field: Word, operator: Word): AlarmExpression {
    const threshold = this.number()
    const unit = this.unit()
    this.expectUnit(unit)
    const { clear, forMillis } = this.clauses((at) => {
      const clear = this.number()
      const again = this.unit()
      if (again !== undefined && again.text !== unit?.text) {
        this.refuse(`expected the unit of the first number, which is ${unit?.text ?? "not given"}`, again.at)
      }
      return this.beyond(operator.text as AlarmOperator, threshold, clear, at)
    })
    return this.expression({
      _tag: "Value",
      device: isWord(device, "*") ? null : device.text,
      field: field.text,
      operator: operator.text as AlarmOperator,
      threshold,
      unit: unit?.text ?? null,
      clear,
      forMillis
    }, { name: device.at, field: field.at, unit: unit?.at ?? 0 })
  }

  private disk({ at, text: operator }: Word, name: Word): AlarmExpression {
    if (operator !== "<" && operator !== "<=") return this.refuse(`expected < or <= for the room on a disk`, at)
    const threshold = this.bytes()
    const { clear, forMillis } = this.clauses((at) => this.beyond(operator, threshold, this.bytes(), at))
    return this.expression({ _tag: "Disk", operator, threshold, clear, forMillis }, { name: name.at })
  }

  private status(name: ReadonlyArray<Word>): AlarmExpression {
    const [device, field] = this.field(name, "`.status` in front of `has`")
    if (!isWord(field, "status")) this.refuseWord(field, "`status` in front of `has`", ["status"])
    const code = this.word("a status code, such as MOV")
    const { forMillis } = this.clauses()
    return this.expression({
      _tag: "Status",
      device: isWord(device, "*") ? null : device.text,
      code: code.text,
      forMillis
    }, { name: device.at })
  }

  private silent(name: ReadonlyArray<Word>): AlarmExpression {
    const [device, field] = name as [Word, Word?]
    if (field !== undefined) {
      this.refuse(
        "expected one device; a name with a dot stands in quotes, such as \"a.b\" is silent for 10s",
        device.at
      )
    }
    const { forMillis } = this.clauses()
    if (forMillis === 0) this.refuse("expected `for` and a duration, such as `for 10s`", this.text.length)
    return this.expression({
      _tag: "Silent",
      device: isWord(device, "*") ? null : device.text,
      forMillis
    }, { name: device.at })
  }

  private behind(name: ReadonlyArray<Word>): AlarmExpression {
    const [first, second] = name as [Word, Word?]
    const isAny = second === undefined && (isWord(first, "output") || isWord(first, "*"))
    const items = this.match(/\d+(?!\S)/yu)
    const millis = items === undefined ? this.duration("a duration such as 1min, or a number of samples") : null
    if (items !== undefined && !(Number(items.text) > 0 && Number.isSafeInteger(Number(items.text)))) {
      this.refuse("expected a whole number above 0", items.at)
    }
    const { forMillis } = this.clauses()
    return this.expression({
      _tag: "Behind",
      output: isAny ? null : name.map(({ text }) => text).join("."),
      millis,
      items: items === undefined ? null : Number(items.text),
      forMillis
    }, { name: first.at })
  }

  /** `for` and `clear`, in any order, and then the end. */
  private clauses(readClear?: (at: number) => number): { readonly clear: number | null; readonly forMillis: number } {
    let clear: number | null = null
    let forMillis = 0
    for (;;) {
      this.skipSpace()
      if (this.at === this.text.length) return { clear, forMillis }
      const known = [...forMillis === 0 ? ["for"] : [], ...clear === null && readClear !== undefined ? ["clear"] : []]
      const expected = [...known.map((word) => `\`${word}\``), "the end"].join(" or ")
      const word = this.word(expected)
      if (word.isQuoted || !known.includes(word.text)) this.refuseWord(word, expected, known)
      if (word.text === "for") forMillis = this.duration("a duration such as 5s")
      else clear = readClear!(this.skipSpace())
    }
  }

  /** The threshold at which an alarm clears: not on the side on which it is raised. */
  private beyond(operator: AlarmOperator, threshold: number, clear: number, at: number): number {
    if (operator === "==" || operator === "!=") return this.refuse(`expected no \`clear\` with ${operator}`, at)
    const isBeyond = operator.startsWith("<") ? clear >= threshold : clear <= threshold
    if (isBeyond) return clear
    return this.refuse(`expected a number ${operator.startsWith("<") ? "not below" : "not above"} the first one`, at)
  }

  /** One or more words with dots between. */
  private name(): ReadonlyArray<Word> {
    const words = [this.word(EXAMPLE)]
    while (this.text[this.at] === ".") {
      this.at++
      if (/^(?:\s|$)/u.test(this.text.slice(this.at))) this.refuse("expected a name behind the dot", this.at)
      words.push(this.word("a name behind the dot"))
    }
    return words
  }

  private field(name: ReadonlyArray<Word>, expected: string): readonly [Word, Word] {
    const [device, field, more] = name as [Word, Word?, Word?]
    if (field === undefined) return this.refuse(`expected ${expected}, behind the device`, endOf(device, this.text))
    if (more !== undefined) this.refuse("expected one dot; names with dots stand in quotes, such as \"a.b\".c", more.at)
    return [device, field]
  }

  private operator(): Word | undefined {
    const at = this.skipSpace()
    const text = OPERATORS.find((operator) => this.text.startsWith(operator, at))
    if (text === undefined) {
      if (/^[=!]/.test(this.text.slice(at))) this.refuse(`expected ${OPERATORS.join(" ")}`, at)
      return undefined
    }
    this.at += text.length
    return { text, at, isQuoted: false }
  }

  private number(): number {
    const found = this.match(/[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/yiu) ?? this.refuse("expected a number", this.at)
    const value = Number(found.text)
    // -0 would not be the same when it is printed.
    return Number.isFinite(value) ? value + 0 : this.refuse("expected a number that is not so large", found.at)
  }

  private unit(): Word | undefined {
    const at = this.skipSpace()
    if (this.text[at] === "\"") return this.word("a unit")
    const unit = this.match(/[^\s"<>=!.\d][^\s"<>=!]*/yu)
    if (unit !== undefined && isBareUnit(unit.text)) return unit
    this.at = at
    return undefined
  }

  /** `fro 5s` is no unit: something follows that is neither `for` nor `clear`. */
  private expectUnit(unit: Word | undefined): void {
    const nearest = unit === undefined ? undefined : nearestName(unit.text, ["for", "clear"])
    if (nearest === undefined || /^\s*(?:$|(?:for|clear)\s)/u.test(this.text.slice(this.at))) return
    this.refuseWord(unit!, "a unit, `for`, `clear` or the end", ["for", "clear"])
  }

  private bytes(): number {
    const expected = "expected a size such as 500MB or 10GiB"
    const found = this.match(/[\d.]+ ?[a-z]*/yiu) ?? this.refuse(expected, this.at)
    return Option.getOrElse(parseBytes(found.text), () => this.refuse(expected, found.at))
  }

  private duration(expected: string): number {
    const found = this.match(/\S+/yu) ?? this.refuse(`expected ${expected}`, this.at)
    const millis = Option.match(parseDuration(found.text), {
      onNone: () => 0,
      onSome: (duration) => Math.round(Duration.toMillis(duration))
    })
    return millis > 0 && Number.isSafeInteger(millis) ? millis : this.refuse(`expected ${expected}`, found.at)
  }

  private word(expected: string): Word {
    const found = this.match(/"(?:[^"\\]|\\.)*"|[^\s"<>=!.]+/ysu)
    if (found === undefined) {
      return this.refuse(
        this.text[this.at] === "\"" ? "expected a second quote at the end of the name" : `expected ${expected}`,
        this.at
      )
    }
    if (!found.text.startsWith("\"")) return found
    return { at: found.at, text: found.text.slice(1, -1).replaceAll(/\\(.)/gsu, "$1"), isQuoted: true }
  }

  /** What a sticky pattern finds at the next character that is no space. */
  private match(pattern: RegExp): Word | undefined {
    pattern.lastIndex = this.skipSpace()
    const [text] = pattern.exec(this.text) ?? []
    if (text === undefined) return undefined
    const { at } = this
    this.at += text.length
    return { text, at, isQuoted: false }
  }

  private skipSpace(): number {
    while (/\s/u.test(this.text[this.at] ?? "")) this.at++
    return this.at
  }

  private expression(condition: AlarmCondition, places: Partial<AlarmPlaces>): AlarmExpression {
    return { text: this.text, condition, places: { name: 0, field: 0, unit: 0, ...places } }
  }

  private refuseWord({ at, text }: Word, expected: string, known: ReadonlyArray<string>): never {
    const nearest = nearestName(text, known)
    return this.refuse(`expected ${expected}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`, at)
  }

  private refuse(problem: string, position: number): never {
    throw new AlarmExpressionError({ text: this.text, position, problem })
  }
}

const isWord = ({ isQuoted, text }: Word, word: string): boolean => !isQuoted && text === word

/** Where a word ends in the text. */
const endOf = ({ at, isQuoted, text }: Word, all: string): number =>
  isQuoted ? at + (/"(?:[^"\\]|\\.)*"/su.exec(all.slice(at))?.[0].length ?? 0) : at + text.length
