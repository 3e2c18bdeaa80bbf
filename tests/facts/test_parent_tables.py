"""Tables of other people: what is read, what is refused row by row, and what as a whole."""

import math

import pytest

from interp_rc.facts.parent_tables import read_parent_table
from interp_rc.records.errors import DataError

HEAD = "child,parent,parent_type,child_prediction,m_can_find_parent,m_can_find_child\n"


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write


def test_quotes_commas_breaks_and_byte_order_marks(table):
    text = HEAD + '"Harry Connick, Jr.","Anita ""Babs"" Levy",mother,,0.3,0.0\n'
    text += '"Sam\nSmith",Frederick Smith,father,,1.0,0.1\nÉva Gabor,Jolie,mother,,0,0\n'
    found = read_parent_table(table(text, "utf-8-sig"))
    assert (found.model, found.kind, found.refused) == ("m", "share", [])
    assert [row.child for row in found.rows] == ["Harry Connick, Jr.", "Sam\nSmith", "Éva Gabor"]
    assert found.rows[0].parent == 'Anita "Babs" Levy'
    assert [row.line for row in found.rows] == [2, 3, 5]
    assert (found.rows[1].by_child, found.rows[1].by_parent) == (1.0, 0.1)


def test_other_answers(table):
    text = "child,parent,parent_type,x_parent_logprob,x_child_logprob\nA,B,mother,-1.5,-20\n"
    [row] = read_parent_table(table(text)).rows
    assert (row.by_child, row.by_parent) == (math.exp(-1.5), math.exp(-20))
    [row] = read_parent_table(table("child,parent,parent_type,can_reverse\nA,B,father,True\n")).rows
    assert (row.by_child, row.by_parent) == (None, 1.0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A,B,mother,,0.5\n", "5 cells under 6 columns"),
        ("A,B,mother,,0.5,0,1\n", "7 cells under 6 columns"),
        (",B,mother,,0.5,0\n", "no child"),
        ("A, ,mother,,0.5,0\n", "no parent"),
        ("A,B,aunt,,0.5,0\n", "parent_type 'aunt'"),
        ("A,B,mother,,,0\n", "m_can_find_parent is '', not a share"),
        ("A,B,mother,,0.5,1.5\n", "m_can_find_child is '1.5', not a share"),
        ("A,B,mother,,nan,0\n", "m_can_find_parent is 'nan'"),
        ("A,B,mother,,half,0\n", "m_can_find_parent is 'half'"),
    ],
)
def test_a_faulty_row_is_refused_and_the_others_are_read(table, row, reason):
    found = read_parent_table(table(HEAD + "C,D,father,,1,0\n" + row + "E,F,mother,,0,0\n"))
    assert [one.child for one in found.rows] == ["C", "E"]
    [refused] = found.refused
    assert refused.line == 3
    assert reason in refused.reason


def test_a_row_in_another_encoding_is_refused_alone(table):
    text = (HEAD + "C,D,father,,1,0\n").encode() + "Zoë,D,mother,,1,0\n".encode("latin-1")
    found = read_parent_table(table(text))
    assert len(found.rows) == 1
    assert "UTF-8" in found.refused[0].reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'child'"),
        ("child,parent,can_reverse\n", "no column 'parent_type'"),
        ("child,parent,parent_type\nA,B,mother\n", "of one model, and has those of: none"),
        ("child,parent,parent_type,a_can_find_parent\n", "but no 'a_can_find_child'"),
        (HEAD.strip() + ",can_reverse\n", "has those of: m, can_reverse"),
        (HEAD.strip() + ",child\n", "column 'child' twice"),
        (HEAD, "no row that can be scored"),
        ((HEAD.replace("m_", "é_") + "A,B,mother,,1,1\n").encode("latin-1"), "are not UTF-8"),
        ((HEAD + "A,B,mother,,1,1\n").encode("utf-16"), "are not UTF-8"),
        (HEAD + "A,B,aunt,,0,0\n", "line 2, parent_type 'aunt'"),
        (HEAD + '"A,B,mother,,0,0\n', "is not CSV"),
        (HEAD + '"A"x,B,mother,,0,0\n', "is not CSV"),
    ],
)
def test_a_table_without_answers_is_refused(table, text, message):
    with pytest.raises(DataError, match=r"table\.csv") as error:
        read_parent_table(table(text))
    assert message in str(error.value)


def test_no_table(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: file not found"):
        read_parent_table(tmp_path / "none.csv")


@pytest.mark.parametrize("columns", [1_001, 50_000])
def test_a_table_of_many_columns_is_refused_at_once(tmp_path, columns):
    path = tmp_path / "x.csv"
    header = ["child", "parent", "parent_type", *(f"c{n}_can_find_parent" for n in range(columns))]
    path.write_text(",".join(header) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.csv:1: has .* columns, and 1,000 are the most"):
        read_parent_table(path)


def test_a_message_lists_the_first_columns_only(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",".join("x" * 100 for _ in range(900)), encoding="utf-8")
    with pytest.raises(DataError, match=r"has no column 'child' .* …") as caught:
        read_parent_table(path)
    assert len(str(caught.value)) < 1_500


@pytest.mark.parametrize(
    ("columns", "values", "words"),
    [
        ("m_can_find_parent,m_can_find_child", ["50,20", "0,10", "0,1"], "divide per cent by 100"),
        ("m_parent_logprob,m_child_logprob", ["0.5,0.2", "0,0.1", "0,0"], "natural logarithms"),
        ("can_reverse", ["yes", "no", "true"], "write true or false"),
    ],
)
def test_a_table_in_another_unit_is_not_scored_from_what_fits_by_chance(
    table, columns, values, words
):
    rows = "".join(f"C{n},P{n},mother,{value}\n" for n, value in enumerate(values))
    with pytest.raises(DataError, match=rf"table\.csv:2: 2 of 3 rows hold another unit.*{words}"):
        read_parent_table(table(f"child,parent,parent_type,{columns}\n{rows}"))
