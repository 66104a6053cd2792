package lowcode

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Filled says what Fill wrote.
type Filled struct {
	Feedback                           int
	Customers, Orders, Invoices, Files int
}

// Fill gives a workspace the data of a tenant that has worked for a while: n
// customers, three orders for each, an invoice for every second order, and a
// file for every tenth customer. The same call on an empty workspace writes the
// same data.
func (p *Platform) Fill(ctx context.Context, workspaceName string, n int) (Filled, error) {
	w, err := p.workspace(ctx, workspaceName)
	if err != nil {
		return Filled{}, err
	}
	db, err := p.tenantDB(w, "rw")
	if err != nil {
		return Filled{}, err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Filled{}, fmt.Errorf("fill %s: %w", workspaceName, err)
	}
	defer tx.Rollback()
	var f Filled
	cities := []string{"Aachen", "Bergen", "Cork", "Delft", "Esbjerg", "Faro", "Graz"}
	articles := []string{"hinge", "bracket", "spindle", "gasket", "valve"}
	due := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for i := 1; i <= n; i++ {
		segment := "standard"
		if i%8 == 0 {
			segment = "key account"
		}
		if _, err := tx.ExecContext(ctx, "insert into customers (name, city, segment) values ($1, $2, $3)", fmt.Sprintf("Customer %04d", i), cities[i%len(cities)], segment); err != nil {
			return f, fmt.Errorf("fill %s: %w", workspaceName, err)
		}
		f.Customers++
		for j := range 3 {
			quantity := 1 + (i+j)%9
			cents := quantity * (450 + 75*((i*7+j)%20))
			res, err := tx.ExecContext(ctx, "insert into orders (customer_id, article, quantity, cents) values ((select max(id) from customers), $1, $2, $3)", articles[(i+j)%len(articles)], quantity, cents)
			if err != nil {
				return f, fmt.Errorf("fill %s: %w", workspaceName, err)
			}
			f.Orders++
			if f.Orders%2 != 0 {
				continue
			}
			id, err := res.LastInsertId()
			if err != nil {
				return f, err
			}
			if _, err := tx.ExecContext(ctx, "insert into invoices (order_id, cents, due) values ($1, $2, $3)", id, cents, due.AddDate(0, 0, i%90).Format(time.DateOnly)); err != nil {
				return f, fmt.Errorf("fill %s: %w", workspaceName, err)
			}
			f.Invoices++
		}
	}
	if err := tx.Commit(); err != nil {
		return f, fmt.Errorf("fill %s: %w", workspaceName, err)
	}
	for i := range n / 5 {
		_, err := p.db.ExecContext(ctx, "insert into feedback (billed_to, given, by_login, rating, remark) values ($1, $2, $3, $4, $5)",
			w.name, due.AddDate(0, 0, -i).Format(time.DateOnly), fmt.Sprintf("user%02d@%s.example", i, w.name), 1+i%5, fmt.Sprintf("said by a user of %s", w.name))
		if err != nil {
			return f, fmt.Errorf("fill %s: %w", workspaceName, err)
		}
		f.Feedback++
	}
	f.Files, err = p.fillFiles(w, n/10)
	return f, err
}

// fillFiles uploads n small files into the workspace's bucket.
func (p *Platform) fillFiles(w workspace, n int) (int, error) {
	folder := filepath.Join(p.uploads(w), "delivery-notes")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return 0, err
	}
	for i := range n {
		body := fmt.Sprintf("Delivery note %04d of %s\nCustomer %04d\n3 parcels, signed for\n", i+1, w.name, 10*(i+1))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%04d.txt", i+1)), []byte(body), 0o600); err != nil {
			return i, err
		}
	}
	return n, nil
}
