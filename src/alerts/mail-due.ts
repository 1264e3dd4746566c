/** Says that mails were written; the consumer has them sent. */
export const MAIL_DUE = 'mail.due'
