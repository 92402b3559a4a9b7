// Package loglimit limits what others can write into a program's log.
//
// It must not change lines other than their level, or know who the others are but by the attributes of lines.
package loglimit
