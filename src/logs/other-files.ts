const OTHERS: readonly { name: RegExp; reason: string }[] = [
  { name: /^\./, reason: 'is hidden' },
  { name: /(?:^|[._-])errors?(?:[._-]|$)/i, reason: 'is an error log by its name' },
  {
    name: /\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz|zip|7z|rar)$/i,
    reason: 'is an archive by its name: unpack it to import what is in it',
  },
  { name: /(?:~|\.(?:tmp|temp|part|partial|sw[op]|pid|lock))$/i, reason: 'is a temporary file by its name' },
  { name: /\.(?:md5|sha(?:1|256|512)|asc|sig)$/i, reason: 'is a checksum or a signature by its name' },
  { name: /^(?:wtmp|btmp|lastlog|faillog|tallylog)(?:\.|$)|\.journal$/, reason: 'is a log of the system by its name' },
]

/** Why a file of a folder is no access log, by its name; undefined if it may be one. */
export const reasonAgainst = (name: string): string | undefined => OTHERS.find((other) => other.name.test(name))?.reason
