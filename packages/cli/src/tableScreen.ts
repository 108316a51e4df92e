/**
 * The live table on the terminal: what its keys do to it, and how it is drawn.
 */
import { devicesShown, renderTable, type TableOptions, type TableView } from "@sampleline/view"
import { showTable, type TableSize } from "./terminal.ts"

/** What keys do, as the terminal sends them. */
export interface TableKeys {
  readonly [key: string]: () => void
}

/** What the last line says. */
export interface Footer {
  /** Whether keys are read. */
  readonly hasKeys: boolean
  /** Whether there is a recording to mark. */
  readonly marks: boolean
  /** Whether the recording was told to end. */
  readonly isEnding: boolean
  /** The address of a page that shows it too; null if there is none. */
  readonly page: string | null
  /** What is shown instead of what the keys do; null for that. */
  readonly prompt: string | null
}

const PAGE = 10

export class TableScreen {
  private readonly view: () => TableView
  /** What is shown while the picture is frozen; null while it is not. */
  private frozen: TableView | null = null
  /** The first device that is shown. */
  private first = 0
  private hasEnded = false

  constructor(view: () => TableView) {
    this.view = view
  }

  draw(size: TableSize, { hasKeys, isEnding, marks, page, prompt }: Footer): void {
    const view = this.frozen ?? this.view()
    const options: TableOptions = { ...size, first: this.first, colour: hasColour(), unicode: hasUnicode() }
    const shown = devicesShown({ ...view, footer: "" }, options)
    this.first = shown.first
    const hints = isEnding ? ["ENDING: outputs get what they lack", "Ctrl-C leaves at once"] : [
      ...this.frozen === null ? [] : [marks ? "PAUSED: the recording goes on" : "PAUSED: the picture stands still"],
      ...hasKeys && marks ? ["m mark"] : [],
      ...hasKeys ? [this.frozen === null ? "p pause" : "p go on"] : [],
      ...hasKeys && shown.count < view.devices.length ? ["j k scroll"] : [],
      hasKeys ? "q end" : "Ctrl-C ends",
      ...page === null ? [] : [page]
    ]
    showTable(renderTable({ ...view, footer: prompt ?? hints.join("   ") }, options), size)
  }

  readonly keys: TableKeys = {
    p: () => {
      this.frozen = this.frozen === null ? this.view() : null
    },
    q: () => {
      // A second signal would end the process at once.
      if (!this.hasEnded) process.kill(process.pid, "SIGINT")
      this.hasEnded = true
    },
    j: () => this.scroll(1),
    k: () => this.scroll(-1),
    "\u001b[B": () => this.scroll(1),
    "\u001b[A": () => this.scroll(-1),
    "\u001bOB": () => this.scroll(1),
    "\u001bOA": () => this.scroll(-1),
    "\u001b[6~": () => this.scroll(PAGE),
    "\u001b[5~": () => this.scroll(-PAGE)
  }

  private scroll(devices: number): void {
    this.first = Math.max(0, this.first + devices)
  }
}

/** https://no-color.org */
const hasColour = (): boolean => (process.env["NO_COLOR"] ?? "") === ""

const hasUnicode = (): boolean => {
  const { LANG, LC_ALL, LC_CTYPE } = process.env
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "")
}
