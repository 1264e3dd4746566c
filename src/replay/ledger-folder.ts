import { createReadStream, existsSync } from 'node:fs'
import path from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { parse } from 'csv-parse'
import { thousandths } from '../platform/decimal.ts'

// A folder shaped like the AdventureWorks ledger: `ledger_products.csv` and `ledger_movements.csv`, either of them gzipped.
// Quantities are integers of thousandths everywhere in the replay.

export interface Product {
  /** ProductKey: one version of a product. */
  key: string
  /** Number in our catalogue: the ProductNumber, from its second version on with the version behind it. */
  part: string
  name: string
  category: string | null
  standardCost: string | null
  listPrice: string | null
  openingDate: string
  openingBalance: bigint
  openingUnitCost: string
}

export interface MovementRow {
  product: Product
  unitCost: string
  unitsIn: bigint
  unitsOut: bigint
}

/** Everything that moved on one day, each product at most once. */
export interface LedgerDay {
  day: string
  rows: MovementRow[]
}

export interface LedgerSource {
  folder: string
  /** Those that are played, by key. */
  products: Map<string, Product>
  /** Last day that is played. */
  to: string | undefined
  /** Some of the products or days are left out. */
  isPartial: boolean
}

export interface Selection {
  /** Only the first so many products that have movements. */
  products?: number | undefined
  to?: string | undefined
}

/** Rows of a CSV file with headings, one at a time; gzipped if its name ends in `.gz`. */
export async function* csvRecords(file: string, headings: readonly string[]): AsyncGenerator<Record<string, string>> {
  const parser = parse({ columns: true, bom: true, skipEmptyLines: true })
  const unheard = () => undefined
  if (file.endsWith('.gz')) pipeline(createReadStream(file), createGunzip(), parser, unheard)
  else pipeline(createReadStream(file), parser, unheard)
  let isChecked = false
  for await (const record of parser as AsyncIterable<Record<string, string>>) {
    if (!isChecked) {
      const missing = headings.filter((heading) => record[heading] === undefined)
      if (missing.length > 0) throw new Error(`${file} has no column ${missing.join(', ')}`)
      isChecked = true
    }
    yield record
  }
}

function fileIn(folder: string, name: string): string {
  const candidates = [path.join(folder, name), path.join(folder, `${name}.gz`)]
  const found = candidates.find((file) => existsSync(file))
  if (found === undefined) throw new Error(`there is neither ${candidates.join(' nor ')}`)
  return found
}

const PRODUCT_HEADINGS = ['ProductKey', 'ProductNumber', 'Name', 'OpeningDate', 'OpeningBalance', 'OpeningUnitCost']

/** Reads the products of a ledger folder. */
export async function openLedger(folder: string, { products: limit, to }: Selection = {}): Promise<LedgerSource> {
  const products = new Map<string, Product>()
  const versions = new Map<string, number>()
  for await (const row of csvRecords(fileIn(folder, 'ledger_products.csv'), PRODUCT_HEADINGS)) {
    const { ProductKey: key = '', ProductNumber: number = '' } = row
    const version = (versions.get(number) ?? 0) + 1
    versions.set(number, version)
    if (limit !== undefined && (products.size >= limit || row['MovementRows'] === '0')) continue
    if (products.has(key)) throw new Error(`ledger_products.csv has ProductKey ${key} twice`)
    products.set(key, {
      key,
      part: version === 1 ? number : `${number}-V${version}`,
      name: row['Name'] ?? '',
      category: row['Subcategory'] || row['Category'] || null,
      standardCost: row['StandardCost'] || null,
      listPrice: row['ListPrice'] ? twoPlaces(row['ListPrice']) : null,
      openingDate: row['OpeningDate'] ?? '',
      openingBalance: thousandths(row['OpeningBalance'] ?? ''),
      openingUnitCost: row['OpeningUnitCost'] ?? ''
    })
  }
  if (products.size === 0) throw new Error(`${folder} has no products to play`)
  if (new Set([...products.values()].map(({ part }) => part)).size < products.size)
    throw new Error('two products would get the same part number')
  return { folder, products, to, isPartial: limit !== undefined || to !== undefined }
}

/** A price of four places as one of two, half up. */
function twoPlaces(price: string): string {
  const [whole = '0', places = ''] = price.split('.')
  const cents = (BigInt(`${whole}${places.padEnd(4, '0').slice(0, 4)}`) + 50n) / 100n
  return `${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`
}

const MOVEMENT_HEADINGS = ['MovementDate', 'ProductKey', 'UnitCost', 'UnitsIn', 'UnitsOut']

/** The days of a ledger in their order, one in memory at a time. */
export async function* ledgerDays({ folder, products, to }: LedgerSource): AsyncGenerator<LedgerDay> {
  let current: LedgerDay | undefined
  for await (const row of csvRecords(fileIn(folder, 'ledger_movements.csv'), MOVEMENT_HEADINGS)) {
    const { MovementDate: day = '', ProductKey: key = '' } = row
    if (to !== undefined && day > to) break
    if (day !== current?.day) {
      if (current !== undefined) {
        if (day < current.day)
          throw new Error(`ledger_movements.csv is not sorted by MovementDate: ${day} comes after ${current.day}`)
        if (current.rows.length > 0) yield current
      }
      current = { day, rows: [] }
    }
    const product = products.get(key)
    if (product === undefined) continue
    if (current.rows.some((other) => other.product === product))
      throw new Error(`ledger_movements.csv has product ${key} twice on ${day}`)
    current.rows.push({
      product,
      unitCost: row['UnitCost'] ?? '',
      unitsIn: thousandths(row['UnitsIn'] ?? ''),
      unitsOut: thousandths(row['UnitsOut'] ?? '')
    })
  }
  if (current !== undefined && current.rows.length > 0) yield current
}
