/**
 * What devices of different firmware say of themselves: their tables, as captured from real devices, and how they reject a command.
 */

/**
 * The firmware of a device.
 * - `10v20`: the current one.
 * - `6v21`: rejects a command in two parts, and sets its streaming interval by a register.
 * - `GP07`: has the legacy frame table, pads its tables, does not answer `VE`, and takes settings only after `$$`.
 * - `BASIS`: has no tables and does not stream.
 *
 * @since 0.1.0
 * @category options
 */
export type SimulatedFirmware = "10v20" | "6v21" | "GP07" | "BASIS"

export const FIRMWARES: ReadonlyArray<SimulatedFirmware> = ["10v20", "6v21", "GP07", "BASIS"]

/** The lines that reject a command. */
export const rejectionOf = (firmware: SimulatedFirmware): ReadonlyArray<string> =>
  firmware === "6v21" ? ["", "?"] : ["?"]

/** What follows the unit id in the reply to `VE`. */
export const versionOf = (firmware: SimulatedFirmware): string =>
  firmware === "6v21" ? "  6v21.0-R22 Nov 30 2016,16:04:20" : "  10v20.0-R24 Jan  9 2025,15:04:07"

/** The rows of `??D*` without the unit id. `numbered` adds the column `Reading Number`. */
export const columnsOf = (firmware: SimulatedFirmware, numbered: boolean): ReadonlyArray<string> => {
  const isLegacy = firmware === "GP07"
  return (isLegacy ? legacyColumns(numbered) : currentColumns(numbered)).map((row, n) => {
    const numberedRow = `D${String(n).padStart(2, "0")} ${row}`
    return isLegacy ? ` ${numberedRow}${PADDING}` : numberedRow
  })
}

const currentColumns = (numbered: boolean): ReadonlyArray<string> => [
  "ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________",
  "700 Unit ID                    string          1",
  "002 Abs Press                  s decimal     7/2 010 02 PSIA",
  "003 Flow Temp                  s decimal     7/2 002 02 `C",
  "004 Volu Flow                  s decimal     7/2 012 02 CCM",
  "005 Mass Flow                  s decimal     7/2 012 02 SCCM",
  "037 Mass Flow Setpt            s decimal     7/2 012 02 SCCM",
  ...(numbered ? ["999 Reading Number             s decimal    10/0 000 02 -"] : []),
  "703 Gas                        string          6",
  "701 *Error                     string          3 ADC",
  "702 *Status                    string          3 OPL",
  "702 *Status                    string          3 MOV",
  "702 *Status                    string          3 LCK"
]

const legacyColumns = (numbered: boolean): ReadonlyArray<string> => [
  "NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__",
  "Unit ID     char         A         Z         na",
  "Pressure    signed    +000.00  +160.00     PSIA",
  "Flow Temp   signed    -010.00  +060.00        C",
  "Volu        signed    +000.00  +500.00      CCM",
  "Mass        signed    +0000.0  +0500.0     SCCM",
  "Mass Setpt  signed    +0000.0  +0500.0     SCCM",
  ...(numbered ? ["Reading No  signed    +0       +999999999    na"] : []),
  "Gas         string        Air       D2       na",
  "Error       string         na      ADC       na",
  "Status      string         na      LCK       na"
]

/** The rows of `??M*` without the unit id. */
export const identityOf = (firmware: SimulatedFirmware, serialNumber: number): ReadonlyArray<string> =>
  firmware === "GP07" ? legacyIdentity(serialNumber) : [
    " M00 ALICAT SCIENTIFIC",
    " M01 www.example.com",
    " M02 Ph   000-000-0000",
    " M03 Simulated device",
    " M04 Model Number MC-500SCCM-D",
    ` M05 Serial Number ${serialNumber}`,
    " M06 Date Manufactured 03/02/2025",
    " M07 Date Calibrated   03/02/2025",
    " M08 Calibrated By     SIM",
    ` M09 Software Revision ${versionOf(firmware).trim().split(" ")[0]}`
  ]

const legacyIdentity = (serialNumber: number): ReadonlyArray<string> => [
  "M0 Alicat Scientific Inc.",
  "M1 ",
  "M2 Ph 000-000-0000",
  "M3 Simulated device",
  `M4 Mdl ${PADDING}MC-500SCCM-D`,
  `M5 Serial No. ${PADDING}${serialNumber}`,
  "M6 Date Mfg.  10/03/2008",
  "M7 Calibrated By  SIM",
  "M8 Software GP07R100"
]

/** Old firmware pads its tables with this. */
const PADDING = "\b\b"
