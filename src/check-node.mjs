// Loaded before the first TypeScript file (`node --import`), by whatever Node there is: an older one could only say that it does
// not know the extension.
const NEEDED = 26
if (Number(process.versions.node.split('.')[0]) < NEEDED) {
  process.stderr.write(
    `bincard needs Node ${NEEDED} and this is ${process.version}; install it, or run a whole npm ci, which brings it along\n`
  )
  process.exit(1)
}
