"""A small arXiv of our own, for the shipped recipe and for tests: made papers, their files, a server on this machine.

canvas     a page of text, lines and boxes, written as PDF
charts     pictures of known data
contents   what the made papers say: paragraphs, figures, tables
layout     a paper as PDF, in one column or two
forms      a paper as LaTeX archive and as HTML
corpus     400 records, some with papers
server     answers as arXiv does

Everything follows from numbers in the code: the same bytes on any machine.
"""
