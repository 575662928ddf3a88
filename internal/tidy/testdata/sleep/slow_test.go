package slow

import "time"

func wait() { time.Sleep(time.Second) }
