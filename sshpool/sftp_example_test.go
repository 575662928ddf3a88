package sshpool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"
	"time"

	"fleet/sshpool"
)

// client gives an SFTP client of a host, whose end ends all.
func client() (s *sshpool.SFTP, end func()) {
	conn, end := connect("")
	s, err := conn.SFTP(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	return s, end
}

// write makes a file on the host.
func write(s *sshpool.SFTP, name, text string) {
	f, err := s.Create(context.Background(), name)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := f.ReadFrom(strings.NewReader(text)); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}

// A file is written and read back over an SFTP client.
func ExampleConn_SFTP() {
	conn, end := connect("")
	defer end()
	ctx := context.Background()
	s, err := conn.SFTP(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	f, err := s.Create(ctx, "/motd")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "Maintenance at %d:00\n", 22)
	f.Seek(0, io.SeekStart)
	text, err := io.ReadAll(f)
	fmt.Printf("%q %v\n", text, err)
	// Output:
	// "Maintenance at 22:00\n" <nil>
}

// A file is put on a host, whole and checked, and fetched again.
func ExampleConn_Files() {
	conn, end := connect("")
	defer end()
	ctx := context.Background()
	files, err := conn.Files(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()
	src := sshpool.BytesSource("app.conf", []byte("port = 8080\n")) // of a file: OpenSource
	mode := fs.FileMode(0o640)
	put, err := files.Put(ctx, src, "/app.conf", sshpool.PutOptions{Mode: &mode})
	fmt.Println(put.Sent, put.Verified, put.Atomic, err)

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir) // nothing that the host says leads out of it
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()
	got, err := files.Get(ctx, "/app.conf", root, "app.conf", sshpool.GetOptions{})
	text, _ := root.ReadFile("app.conf")
	fmt.Printf("%d %q %v\n", got.Size, text, err)
	// Output:
	// 12 read back true <nil>
	// 12 "port = 8080\n" <nil>
}

// Progress is told as bytes arrive, and two rates bound a transfer: one of its
// own and one that all hosts share.
func ExampleFiles_Put() {
	conn, end := connect("")
	defer end()
	ctx := context.Background()
	files, err := conn.Files(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()
	src := sshpool.BytesSource("data", make([]byte, 100_000))
	all, each := sshpool.NewRate(100<<20), sshpool.NewRate(10<<20)
	arrived := int64(0)
	_, err = files.Put(ctx, src, "/data", sshpool.PutOptions{
		Rates: []*sshpool.Rate{all, each}, Progress: func(n int64) { arrived += n }})
	fmt.Println(arrived, err)

	_, err = files.Put(ctx, src, "/data", sshpool.PutOptions{NoReplace: true})
	fmt.Println(errors.Is(err, fs.ErrExist), err)
	// Output:
	// 100000 <nil>
	// true put: /data: file exists
}

// A file is hashed where it is.
func ExampleFiles_SHA256() {
	conn, end := connect("")
	defer end()
	files, err := conn.Files(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()
	write(files.SFTP(), "/f", "hello\n")
	sum, _, err := files.SHA256(context.Background(), "/f")
	fmt.Printf("%x %v\n", sum[:4], err)
	// Output:
	// 5891b5b5 <nil>
}

// Part of a file is read without the rest.
func ExampleSFTPFile_ReadAt() {
	s, end := client()
	defer end()
	write(s, "/log", "one two three")
	f, err := s.Open(context.Background(), "/log")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	part := make([]byte, 3)
	_, err = f.ReadAt(part, 4)
	fi, _ := f.Stat()
	fmt.Println(string(part), err, fi.Size())
	// Output:
	// two <nil> 13
}

// Each call on a file can have a limit of its own.
func ExampleSFTPFile_WithContext() {
	s, end := client()
	defer end()
	f, err := s.Create(context.Background(), "/f")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = f.WithContext(ctx).Write([]byte("within ten seconds"))
	fmt.Println(err)
	// Output:
	// <nil>
}

// A folder is listed as it comes, and what is in it is told apart.
func ExampleSFTP_List() {
	s, end := client()
	defer end()
	ctx := context.Background()
	s.MkdirAll(ctx, "/srv/www", 0o755)
	write(s, "/srv/index.html", "<p>")
	files, folders := 0, 0
	for fi, err := range s.List(ctx, "/srv") {
		if err != nil {
			log.Fatal(err)
		}
		if fi.IsDir() {
			folders++
		} else {
			files++
		}
	}
	fmt.Println(files, folders)
	// Output:
	// 1 1
}

// A tree is walked, in the order of names.
func ExampleSFTP_Walk() {
	s, end := client()
	defer end()
	ctx := context.Background()
	s.MkdirAll(ctx, "/srv/www", 0o755)
	write(s, "/srv/www/index.html", "<p>")
	err := s.Walk(ctx, "/srv", func(name string, d fs.DirEntry, err error) error {
		fmt.Println(name, d.IsDir())
		return err
	})
	fmt.Println(err)
	// Output:
	// /srv true
	// /srv/www true
	// /srv/www/index.html false
	// <nil>
}

// One file takes the place of another at once, and links are told from what
// they lead to.
func ExampleSFTP_PosixRename() {
	s, end := client()
	defer end()
	ctx := context.Background()
	write(s, "/current", "old")
	write(s, "/next", "new!")
	fmt.Println(s.PosixRename(ctx, "/next", "/current"))
	fmt.Println(s.Symlink(ctx, "/current", "/link"))
	file, _ := s.Stat(ctx, "/link")
	link, _ := s.Lstat(ctx, "/link")
	text, err := s.ReadLink(ctx, "/link")
	fmt.Println(file.Size(), link.Mode()&fs.ModeSymlink != 0, text, err)
	_, err = s.Stat(ctx, "/next")
	fmt.Println(errors.Is(err, fs.ErrNotExist), err)
	// Output:
	// <nil>
	// <nil>
	// 4 true /current <nil>
	// true stat: /next: no such file or folder
}
