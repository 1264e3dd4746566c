import { createHash } from 'node:crypto'
import { html as markup } from 'ghtml'

// What forms for paper have in common. Their text is Chinese and English on one page, and a browser prints them.
//
// The tag escapes every expression except where the text before it ends in an exclamation mark. It goes by a name of its own, because
// formatters lay out what is tagged `html`, and on paper every blank is sent once per line.

/** The fonts of every form, for a `font` of a style. */
export const PAPER_FONTS = '"Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", sans-serif'

// For the facts at the head of a form and for its table, which repeats its heads on every page.
const FACTS_AND_TABLE = `dl { display: flex; flex-wrap: wrap; gap: 1mm 8mm; margin: 0 0 2mm }
dl div { display: flex; gap: 2mm }
dt { color: #444 } dd { margin: 0; font-weight: bold }
table { border-collapse: collapse; width: 100% }
thead { display: table-header-group }
tr { break-inside: avoid }
th, td { border: 0.3mm solid #000; padding: 0.6mm 1mm; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { font-size: 8pt; background: #eee; text-align: center }`

/**
 * The style of a form: facts, a table, and places for so many signatures.
 * @param page paper and its direction, @param more rules of its own
 */
export const paperStyle = ({
  page = 'A4',
  signatures,
  more = ''
}: {
  page?: 'A4' | 'A4 landscape'
  signatures: number
  more?: string
}): string => `
@page { size: ${page}; margin: 12mm 10mm 16mm }
body { font: 9pt/1.3 ${PAPER_FONTS}; margin: 0; color: #000 }
h1 { font-size: 15pt; text-align: center; margin: 0 0 2mm }
h1 small { font-size: 9pt }
small { display: block; font-size: 8pt; font-weight: normal }
${FACTS_AND_TABLE}
.n { text-align: right; white-space: nowrap }
.signatures { break-inside: avoid; display: grid; grid-template-columns: repeat(${signatures}, 1fr); gap: 6mm; margin-top: 6mm }
.signatures p { margin: 0; border-bottom: 0.3mm solid #000; min-height: 14mm }
@media screen { body { margin: 8mm } }
${more}`

/**
 * What a browser may do with a form, as its Content-Security-Policy: show it with this style, and nothing else. Everything that was
 * written by people is escaped; should something slip through, it would not run.
 */
export const paperPolicy = (style: string): string =>
  `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** The beginning of a form, up to its body. */
export const pageTop = (title: string, style: string): string => markup`<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<title>${title}</title>
<style>!${style}</style>
</head>
<body>
`

export const PAGE_END = '</body>\n</html>\n'

/** A fact at the head of a form; nothing where there is none. */
export const fact = (zh: string, en: string, value: string | null): string =>
  value === null ? '' : markup`<div><dt>${zh} ${en}</dt><dd>${value}</dd></div>`
