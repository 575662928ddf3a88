package main

import "fleet/internal/redact"

// secrets is what this process was told in confidence: answers to questions
// without echo, and what secret files hold. Nothing of it gets into a record.
var secrets redact.Set
