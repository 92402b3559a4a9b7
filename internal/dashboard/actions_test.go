//go:build linux

package dashboard

import (
	"strings"
	"testing"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/chromium"
)

// TestActions: everything that the owner can do, and that a question comes first where others notice it.
func TestActions(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	node := o.addNode("shed-pi", "web", 20000)
	o.addNode("boat", "ssh", 20001)
	o.change(func() { o.status.Services[1].State = admin.Away })
	b := o.open(t)
	show(b, "nodes")
	b.Shows("2 of 2 online")
	open := func(name string) {
		b.Until("[...document.querySelectorAll('button.row')].some((b) => b.textContent === '" + name + "')")
		press(b, name)
		b.Until("document.querySelector('dialog')")
	}
	did := func(want string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !strings.HasSuffix(o.did(), want); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the owner did %q, want %q at the end", o.did(), want)
			}
		}
		b.Until("!document.querySelector('dialog')")
	}

	open("shed-pi")
	b.Shows(node.ID.String())
	b.Shows("family") // the rule
	o.change(func() { o.nodes[0].Connection = &admin.Connection{Address: "192.0.2.77:99", RTT: 77} })
	b.Shows("77.0 ms, at least") // it follows
	press(b, "Limit")
	b.Write("dialog input[name=value]", "7")
	b.Click("dialog form button[type=submit]")
	b.Shows("limit of the operator") // what holds now is asked for again
	b.Shows("shed-pi has limits of its own: maxClients 7")
	if got := o.did(); got != "limit maxClients=7" && got != "limit map[maxClients:7]" {
		t.Errorf("the owner did %q", got)
	}
	press(b, "Kick")
	b.Shows("Kick shed-pi?")
	press(b, "Cancel")
	press(b, "Kick")
	if strings.Contains(o.did(), "kick") {
		t.Errorf("before the answer the owner did %q", o.did())
	}
	b.Click("dialog.question button.danger")
	did("kick")
	b.Shows("shed-pi was kicked: 2 connections ended")

	open("shed-pi")
	press(b, "Revoke")
	b.Click("dialog.question button.danger")
	did("revoke")
	b.Shows("1 of 2 online")
	open("shed-pi")
	press(b, "Allow")
	b.Click("dialog form button[type=submit]")
	did("allow shed-pi")

	press(b, "Allow")
	b.Write("dialog input[name=id]", "not an id")
	b.Click("dialog form button[type=submit]")
	b.Until("document.querySelector('dialog .wrong').textContent")
	b.Write("dialog input[name=id]", idOf(77).String())
	b.Write("dialog input[name=name]", "cabin")
	b.Click("dialog form button[type=submit]")
	did("allow cabin")
	b.Shows("cabin")

	press(b, "Invite")
	b.Write("dialog input[name=name]", "attic")
	b.Click("dialog form button[type=submit]")
	b.Until("document.querySelector('dialog img')?.naturalWidth > 100")
	text := b.Run("return document.querySelector('dialog textarea').value")
	if invitation, err := certs.ParseInvitation(text); err != nil || invitation.Port != 8090 {
		t.Errorf("the invitation is %s: %v", text, err)
	}
	press(b, "Close")
	did("invite attic")
	press(b, "Invitations")
	b.Shows("attic")
	press(b, "Withdraw")
	b.Click("dialog.question button.danger")
	b.Shows("There are none.")
	press(b, "Close")
	did("withdraw attic")

	show(b, "services")
	open("web")
	if text, _ := b.Text(); strings.Contains(text, "Release") {
		t.Error("a service in use can be released")
	}
	press(b, "Pin")
	b.Write("dialog input[name=port]", "20500")
	b.Click("dialog form button[type=submit]")
	did("pin web 20500")
	b.Shows("20500")
	open("web")
	b.Shows("for good")
	press(b, "Unpin")
	b.Click("dialog.question button.danger")
	did("unpin web")
	open("ssh")
	press(b, "Release")
	b.Click("dialog.question button.danger")
	did("release 20001")
	b.Hides("ssh")

	show(b, "limits")
	b.Click("main form button")
	b.Shows("The settings were read. changed: logLevel")
}

// TestKeyboard: everything can be done without a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	o := newOwned(t)
	o.populate()
	b := o.open(t)
	focus := func() string {
		return b.Run("const e = document.activeElement; return e.id || e.name || e.textContent || e.getAttribute('aria-label') || e.tagName")
	}
	b.Run("document.activeElement.blur(); return ''")
	b.Press(chromium.Tab)
	if got := focus(); got != "skip" {
		t.Errorf("the first is %s", got)
	}
	if got := b.Run("const r = document.activeElement.getBoundingClientRect(); return getComputedStyle(document.activeElement).outlineStyle + (r.top > -40)"); got != "solidtrue" {
		t.Errorf("the focus looks so: %s", got)
	}
	b.Press(chromium.Enter)
	if got := focus(); got != "content" {
		t.Errorf("the skip link leads to %s", got)
	}
	b.Press("2")
	b.Shows("10 of 12 online")
	b.Press("/")
	if got := b.Run("return document.activeElement.type"); got != "search" {
		t.Errorf("/ leads to %s", got)
	}
	b.Press("shed2")
	b.Until("document.querySelector('.search').value === 'shed2'") // and no other view
	b.Run("document.querySelector('.search').select(); return ''")
	b.Press("shed")
	b.Until("document.querySelectorAll('button.row').length === 1")
	for range 30 { // past the buttons and the heads of the columns
		b.Press(chromium.Tab)
		if focus() == "shed-pi" {
			break
		}
	}
	if got := focus(); got != "shed-pi" {
		t.Fatalf("Tab does not lead to the node, but to %s", got)
	}
	b.Press(chromium.Enter)
	b.Until("document.querySelector('dialog[open]')")
	b.Press(chromium.Escape)
	b.Until("!document.querySelector('dialog')")
	if got := focus(); got != "shed-pi" {
		t.Errorf("after the dialog the focus is on %s", got)
	}
	b.Press(chromium.Enter)
	for range 10 {
		if focus() == "Revoke" {
			break
		}
		b.Press(chromium.Tab)
	}
	b.Press(chromium.Enter)
	b.Until("document.activeElement.textContent === 'Cancel'")
	b.Press(chromium.Enter + "?") // an Enter too much does nothing, nor does a key in a dialog
	if o.did() != "" {
		t.Errorf("by accident: %s", o.did())
	}
	b.Press(chromium.Enter)
	b.Until("document.activeElement.textContent === 'Cancel'")
	b.Press(chromium.Tab + chromium.Enter)
	b.Until("!document.querySelector('dialog')")
	if o.did() != "revoke" {
		t.Errorf("the owner did %q", o.did())
	}
	b.Press(chromium.Escape)
	b.Press("?")
	b.Shows("Single keys are")
}
